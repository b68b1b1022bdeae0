"""Calls with a limit: what they return and raise, what they say when they are late, and that they do not pile up."""

import threading

import pytest
from campus.bounded import Bounded


def test_it_returns_what_the_function_returns_and_raises_what_it_raises():
    assert Bounded(lambda: 7, 10)() == 7
    with pytest.raises(ZeroDivisionError):
        Bounded(lambda: 1 / 0, 10)()


def test_a_time_out_of_the_function_itself_keeps_its_text():
    def late():
        raise TimeoutError("the database")

    with pytest.raises(TimeoutError, match="the database"):
        Bounded(late, 10)()


@pytest.fixture
def stuck():
    """A call that does not return before the test lets it, and how often it was begun."""
    free, begun = threading.Event(), []

    def function() -> str:
        begun.append(threading.current_thread())
        free.wait(30)
        return "free"

    yield Bounded(function, 0.05), begun, free
    free.set()


def test_a_call_that_stands_still_is_late_and_is_begun_once(stuck):
    call, begun, _ = stuck
    for _ in range(20):
        with pytest.raises(TimeoutError, match=r"no answer for \d+\.\d s"):
            call()
    assert len(begun) == 1


def test_who_asks_while_a_call_is_under_way_gets_its_result():
    free, begun = threading.Event(), []
    call = Bounded(lambda: begun.append(1) or free.wait(30), 30)
    first, second = call.begin(), call.begin()
    free.set()
    assert (first(), second(), len(begun)) == (True, True, 1)
    assert call() is True
    assert len(begun) == 2
