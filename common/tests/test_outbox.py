"""The outbox: events wait there, committed with what they tell of, until they are taken out."""

import pytest
from campus import outbox
from campus.events import ORDER_PLACED, Event, new_event, parse

DATA = {"user_id": "u1", "items": [{"sku": "soda", "qty": 1}]}


def placed(n: int) -> Event:
    """Return the event of the order that was placed in that second."""
    return new_event(ORDER_PLACED, f"o{n}", DATA, at=f"2026-01-31T12:00:{n:02}.000001Z")


class Box:
    """The functions of the outbox, each in a transaction of its own."""

    def __init__(self, database) -> None:
        self._database = database

    def __getattr__(self, name: str):
        def call(*args):
            with self._database.transaction() as tx:
                return getattr(outbox, name)(tx, *args)

        return call

    def add_and_fail(self, message: Event) -> None:
        with self._database.transaction() as tx:
            outbox.add(tx, message)
            raise KeyError


@pytest.fixture
def box(open_database):
    return Box(open_database(outbox.metadata))


def waiting(box: Box, limit: int = 100) -> list[str]:
    return [parse(body, kind).order_id for _, kind, body in box.oldest(limit)]


def test_an_event_waits_as_it_was_told(box):
    box.add(placed(1))
    ((event_id, kind, body),) = box.oldest(9)
    assert (event_id, kind, parse(body, ORDER_PLACED)) == (placed(1).event_id, ORDER_PLACED, placed(1))


def test_the_oldest_come_first_whatever_the_order_they_were_put_in(box):
    for n in (3, 1, 4, 2):
        box.add(placed(n))
    assert waiting(box) == ["o1", "o2", "o3", "o4"]
    assert waiting(box, 2) == ["o1", "o2"]


def test_only_what_is_taken_out_is_gone(box):
    for n in (1, 2, 3):
        box.add(placed(n))
    box.remove([placed(1).event_id, placed(3).event_id])
    assert waiting(box) == ["o2"]
    box.remove([])
    box.remove([placed(1).event_id])
    assert box.depth() == 1


def test_the_same_event_waits_once(box):
    box.add(placed(1))
    box.add(placed(1))
    assert box.depth() == 1


@pytest.mark.promise("b-accepted")
def test_an_event_is_rolled_back_with_what_it_tells_of(box):
    with pytest.raises(KeyError):
        box.add_and_fail(placed(1))
    assert (waiting(box), box.depth()) == ([], 0)


def test_what_waits_survives_opening_again(open_database):
    Box(open_database(outbox.metadata)).add(placed(1))
    assert waiting(Box(open_database(outbox.metadata))) == ["o1"]
