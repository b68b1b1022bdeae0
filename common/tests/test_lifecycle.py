"""What starts and stops with a service: nothing that hangs keeps it from its end."""

import threading
from collections.abc import Callable

import pytest
from campus import lifecycle
from campus.lifecycle import Lifecycle, Part, PartGroup
from campus.loop import Loop
from prometheus_client import CollectorRegistry


class Called(Part):
    """A part that calls these functions when it starts and when it stops."""

    def __init__(
        self, *, start: Callable[[], object] = lambda: None, stop: Callable[[], object] = lambda: None
    ) -> None:
        self._start, self._stop = start, stop

    def start(self) -> None:
        self._start()

    def stop(self, timeout: float = 1.0) -> None:
        self._stop()


@pytest.fixture
def free(monkeypatch):
    """What lets everything go that hangs; and a service that has little time to stop."""
    monkeypatch.setattr(lifecycle, "KEPT_SECONDS", 0.05)
    free = threading.Event()
    yield free
    free.set()


def test_parts_start_in_their_order_and_stop_in_the_opposite_one():
    said = []

    def part(name: str) -> Part:
        return Called(start=lambda: said.append(f"start {name}"), stop=lambda: said.append(f"stop {name}"))

    group = PartGroup(part("database"), PartGroup(part("consumer"), part("loop")))
    group.start()
    group.stop()
    assert said == ["start database", "start consumer", "start loop", "stop loop", "stop consumer", "stop database"]


def test_the_checks_are_those_of_all_parts():
    group = PartGroup(Loop("one", lambda: False), PartGroup(Loop("two", lambda: False)), Part())
    assert list(group.checks) == ["one", "two"]


def test_what_hangs_at_the_end_is_left_behind_and_the_rest_is_stopped(free):
    began, stopped = threading.Event(), []

    def broken() -> None:
        raise OSError("no")

    loop = Loop("stuck", lambda: began.set() or free.wait(60))
    parts = (
        Called(stop=lambda: stopped.append("database")),
        Called(stop=broken),
        Called(stop=lambda: free.wait(60)),
        loop,
    )
    service = Lifecycle(*parts, registry=CollectorRegistry())
    service.start()
    assert began.wait(10)
    stopping = threading.Thread(target=service.stop, args=(0.3,))
    stopping.start()
    stopping.join(20)
    assert not stopping.is_alive()
    assert stopped == ["database"]
