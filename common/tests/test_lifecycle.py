"""What starts and stops with a service: nothing that hangs keeps it from its end."""

import threading

import pytest
from campus import lifecycle
from campus.lifecycle import Lifecycle
from campus.loop import Loop


@pytest.fixture
def free(monkeypatch):
    """What lets everything go that hangs; and a service that has little time to stop."""
    monkeypatch.setattr(lifecycle, "STOP_SECONDS", 0.3)
    monkeypatch.setattr(lifecycle, "CLOSE_SECONDS", 0.1)
    free = threading.Event()
    yield free
    free.set()


def test_what_hangs_at_the_end_is_left_behind_and_the_rest_is_closed(free):
    began, closed = threading.Event(), []

    def broken() -> None:
        raise OSError("no")

    def close() -> None:
        closed.append("database")

    loop = Loop("stuck", lambda: began.set() or free.wait(60))
    lifecycle = Lifecycle([loop], [lambda: free.wait(60), broken, close])
    lifecycle.start()
    assert began.wait(10)
    stopping = threading.Thread(target=lifecycle.stop)
    stopping.start()
    stopping.join(20)
    assert not stopping.is_alive()
    assert closed == ["database"]
