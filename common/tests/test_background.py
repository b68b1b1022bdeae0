"""The loop that repeats a step: driven without its thread, and once with it."""

import threading

import pytest
from campus.background import SLOWEST, Loop


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
    assert pauses == [0.2, 0.4, 0.8, 1.6, SLOWEST, SLOWEST, SLOWEST]


def test_check_says_what_failed_until_a_round_works():
    answers = [failing, lambda: True]
    loop = Loop("sometimes", lambda: answers.pop(0)())
    loop.round(0.0)
    with pytest.raises(RuntimeError, match="sometimes: ValueError: no luck"):
        loop.check()
    loop.round(0.0)
    loop.check()


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
