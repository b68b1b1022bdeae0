"""The pace of rounds: nobody waits when there is little to do, and nobody waits when there is enough."""

import threading
from types import SimpleNamespace

import pytest
from broker import pace as module
from broker.pace import EACH_SECONDS, MAX_SECONDS, Pace


class Enough(threading.Event):
    """An event that notes how long it was waited for, on a clock that only the test moves."""

    def __init__(self) -> None:
        super().__init__()
        self.now, self.waits = 1000.0, []

    def monotonic(self) -> float:
        return self.now

    def wait(self, timeout: float | None = None) -> bool:
        self.waits.append(timeout)
        return self.is_set()


@pytest.fixture
def enough(monkeypatch) -> Enough:
    made = Enough()
    stands_for = SimpleNamespace(monotonic=made.monotonic, wait=lambda event, seconds: event.wait(seconds))
    monkeypatch.setattr(module, "clock", stands_for)
    return made


def waited(pace: Pace, enough: Enough) -> list[float]:
    pace.wait(enough)
    return [round(seconds, 6) for seconds in enough.waits]


def test_the_first_round_begins_at_once(enough):
    assert waited(Pace(), enough) == []


@pytest.mark.parametrize(("count", "seconds"), [(1, EACH_SECONDS), (5, 5 * EACH_SECONDS), (99, MAX_SECONDS)])
def test_the_more_a_round_had_to_do_the_later_is_the_next_but_not_for_long(enough, count, seconds):
    pace = Pace()
    pace.began(count, most=100)
    assert waited(pace, enough) == [seconds]


def test_time_that_the_round_itself_took_is_not_waited_again(enough):
    pace = Pace()
    pace.began(99, most=100)
    enough.now += MAX_SECONDS
    assert waited(pace, enough) == []


def test_after_a_full_round_the_next_follows_at_once(enough):
    pace = Pace()
    pace.began(100, most=100)
    assert waited(pace, enough) == []


def test_enough_messages_end_the_wait():
    pace, enough = Pace(), threading.Event()
    pace._next = float("inf")
    enough.set()
    pace.wait(enough)
