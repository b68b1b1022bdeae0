"""The pace of rounds: nobody waits when there is little to do, and nobody waits when there is enough."""

import threading
import time

from broker.pace import EACH_SECONDS, MOST_SECONDS, Pace


def waited(pace: Pace, enough: threading.Event | None = None) -> float:
    began = time.monotonic()
    pace.wait(enough)
    return time.monotonic() - began


def test_the_first_round_begins_at_once():
    assert waited(Pace()) < EACH_SECONDS


def test_after_a_round_of_one_the_next_follows_soon():
    pace = Pace()
    pace.began(1, most=100)
    assert waited(pace) < 5 * EACH_SECONDS


def test_after_much_work_messages_gather_but_not_for_long():
    pace = Pace()
    pace.began(99, most=100)
    assert MOST_SECONDS * 0.9 < waited(pace) < MOST_SECONDS * 10
    assert waited(pace) < EACH_SECONDS


def test_after_a_full_round_the_next_follows_at_once():
    pace = Pace()
    pace.began(100, most=100)
    assert waited(pace) < EACH_SECONDS


def test_enough_messages_end_the_wait():
    pace, enough = Pace(), threading.Event()
    pace.began(99, most=100)
    enough.set()
    assert waited(pace, enough) < EACH_SECONDS
