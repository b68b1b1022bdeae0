"""The loop that repeats a step: driven without its thread, and once with it."""

import logging
import threading

import pytest
from campus.faults import CONSUMING, Faults
from campus.loop import MAX_BACKOFF, STANDSTILL_SECONDS, Loop


def failing() -> bool:
    raise ValueError("no luck")


def test_a_busy_round_is_followed_at_once_and_an_idle_one_after_a_pause():
    assert Loop("busy", lambda: True, idle=0.3).round(0.0) == 0.0
    assert Loop("idle", lambda: False, idle=0.3).round(0.0) == 0.3


def test_failing_rounds_wait_longer_each_time_up_to_a_limit():
    loop, pauses, pause = Loop("unlucky", failing, idle=0.2), [], 0.0
    for _ in range(7):
        pause = loop.round(pause)
        pauses.append(pause)
    assert pauses == [0.2, 0.4, 0.8, 1.6, MAX_BACKOFF, MAX_BACKOFF, MAX_BACKOFF]


def test_check_says_what_failed_until_a_round_works():
    answers = [failing, lambda: True]
    loop = Loop("sometimes", lambda: answers.pop(0)())
    loop.round(0.0)
    with pytest.raises(RuntimeError, match="sometimes: ValueError: no luck"):
        loop.check()
    loop.round(0.0)
    loop.check()


class Clock:
    """A clock that the test moves."""

    now = 1000.0

    def __call__(self) -> float:
        return self.now

    def sleep(self, seconds: float) -> None:
        self.now += seconds


@pytest.fixture
def stuck():
    """A loop whose first round does not end before the test does, its clock and its faults."""
    clock, began, end = Clock(), threading.Event(), threading.Event()
    faults = Faults(CONSUMING, clock=clock, sleep=lambda _: None)
    loop = Loop("stuck", lambda: began.set() or end.wait(30), waits_until=faults.waits_until, clock=clock)
    loop.start()
    assert began.wait(10)
    yield loop, clock, faults
    end.set()
    loop.stop()


def test_check_says_for_how_long_no_round_has_ended(stuck):
    loop, clock, _ = stuck
    clock.sleep(STANDSTILL_SECONDS)
    loop.check()
    clock.sleep(2)
    with pytest.raises(RuntimeError, match="stuck: no round has ended for 12 s"):
        loop.check()


def test_a_round_that_ends_is_a_sign_of_life():
    clock = Clock()
    loop = Loop("slow", lambda: bool(clock.sleep(30)), clock=clock)
    loop.round(0.0)
    loop.check()


def test_a_wait_that_was_configured_is_no_standstill_but_what_follows_it_is(stuck):
    loop, clock, faults = stuck
    faults.configure({"delay": 40, "throttle": 20})
    faults.inject()
    clock.sleep(40 + STANDSTILL_SECONDS)
    loop.check()
    faults.rest()
    faults.reset()  # holds from the next message on: the wait that has begun goes on
    clock.sleep(20 + STANDSTILL_SECONDS)
    loop.check()
    clock.sleep(1)
    with pytest.raises(RuntimeError, match="no round has ended"):
        loop.check()


@pytest.mark.filterwarnings("ignore::pytest.PytestUnhandledThreadExceptionWarning")
def test_a_thread_that_has_ended_is_not_ready(wait_until):
    def step() -> bool:
        raise SystemExit

    loop = Loop("gone", step)
    loop.start()
    wait_until(lambda: "gone" not in [thread.name for thread in threading.enumerate()])
    with pytest.raises(RuntimeError, match="gone: its thread has ended"):
        loop.check()


@pytest.fixture
def said():
    """What is logged, as `(level, text, whether there is a traceback)`."""
    records: list[tuple[str, str, bool]] = []
    handler = logging.Handler()
    handler.emit = lambda record: records.append((record.levelname, record.getMessage(), bool(record.exc_info)))
    log = logging.getLogger("campus")
    level = log.level
    log.addHandler(handler)
    log.setLevel(logging.INFO)
    yield records
    log.removeHandler(handler)
    log.setLevel(level)


def test_the_same_failure_is_logged_once_with_its_traceback_and_so_is_its_end(said):
    errors = [ValueError("one"), ValueError("one"), KeyError("two"), None, None, ValueError("one")]

    def step() -> bool:
        if error := errors.pop(0):
            raise error
        return True

    loop = Loop("worker", step)
    while errors:
        loop.round(0.0)
    assert said == [
        ("ERROR", "worker failed: ValueError: one", True),
        ("ERROR", "worker failed: KeyError: 'two'", True),
        ("INFO", "worker works again", False),
        ("ERROR", "worker failed: ValueError: one", True),
    ]


def test_a_lost_connection_is_logged_without_a_traceback(said):
    def step() -> bool:
        raise ConnectionError("the broker is down")

    Loop("relay", step).round(0.0)
    assert said == [("ERROR", "relay failed: ConnectionError: the broker is down", False)]


def test_a_loop_that_was_never_started_is_not_ready():
    with pytest.raises(RuntimeError, match="not started"):
        Loop("lazy", lambda: True).check()


def test_the_thread_goes_on_after_an_exception_and_stops_when_asked(wait_until):
    rounds = []

    def step() -> bool:
        rounds.append(threading.current_thread().name)
        if len(rounds) == 2:
            raise ValueError("once")
        return True

    loop = Loop("worker", step, idle=0.01)
    loop.start()
    wait_until(lambda: len(rounds) > 5)
    loop.check()
    loop.stop()
    assert set(rounds) == {"worker"}
    assert "worker" not in [thread.name for thread in threading.enumerate()]


def test_stopping_ends_an_idle_wait_at_once(wait_until):
    rounds = []
    loop = Loop("sleeper", lambda: bool(rounds.append(1)), idle=60)
    loop.start()
    wait_until(lambda: bool(rounds))
    loop.stop(timeout=5)
    assert "sleeper" not in [thread.name for thread in threading.enumerate()]


def test_stopping_a_loop_that_was_never_started_does_nothing():
    Loop("lazy", lambda: True).stop()
