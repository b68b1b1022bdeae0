"""The inbox: an event is dealt with once, and its answer is told as often as it is asked for."""

import pytest
from campus import inbox
from campus.events import INVENTORY_FAILED, NOTIFICATION_SENT, ORDER_PLACED, Event, new_event
from campus.retry import WorkItem


def placed(order_id: str) -> Event:
    return new_event(ORDER_PLACED, order_id, {"user_id": "u1", "items": [{"sku": "soda", "qty": 1}]})


class Desk:
    """Work that is counted, behind an inbox."""

    def __init__(self, database) -> None:
        self._database, self.worked = database, []

    def work(self, item: WorkItem) -> Event:
        self.worked.append(item.event.order_id)
        return new_event(NOTIFICATION_SENT, item.event.order_id, {"user_id": f"u{len(self.worked)}"}, request_id="r1")

    def take(self, *events: Event, fail: bool = False) -> list[Event]:
        with self._database.transaction() as tx:
            results = inbox.process_once(tx, [WorkItem(event) for event in events], self.work)
            if fail:
                raise KeyError
            return results


@pytest.fixture
def desk(open_database):
    return Desk(open_database(inbox.metadata))


def test_new_events_are_worked_on_in_their_order(desk):
    results = desk.take(placed("o2"), placed("o1"))
    assert desk.worked == ["o2", "o1"]
    assert [event.order_id for event in results] == ["o2", "o1"]


def test_an_event_that_comes_again_is_not_worked_on_and_gets_the_same_answer(desk):
    first = desk.take(placed("o1"))
    assert desk.take(placed("o1")) == first
    assert desk.worked == ["o1"]


def test_the_answer_is_the_same_after_opening_again(open_database):
    first = Desk(open_database(inbox.metadata)).take(placed("o1"))
    again = Desk(open_database(inbox.metadata))
    assert again.take(placed("o1")) == first
    assert again.worked == []


def test_the_same_event_twice_in_one_batch_is_worked_on_once_and_answered_twice(desk):
    first, second, third = desk.take(placed("o1"), placed("o2"), placed("o1"))
    assert desk.worked == ["o1", "o2"]
    assert first == third != second


def test_old_and_new_events_may_come_together(desk):
    (known,) = desk.take(placed("o1"))
    results = desk.take(placed("o3"), placed("o1"), placed("o2"))
    assert desk.worked == ["o1", "o3", "o2"]
    assert results[1] == known


@pytest.mark.promise("b-duplicates")
def test_what_was_rolled_back_is_worked_on_again(desk):
    with pytest.raises(KeyError):
        desk.take(placed("o1"), fail=True)
    desk.take(placed("o1"))
    assert desk.worked == ["o1", "o1"]


def test_events_of_one_order_but_of_different_types_are_different(desk):
    desk.take(placed("o1"), new_event(INVENTORY_FAILED, "o1", {"reason": "x"}))
    assert desk.worked == ["o1", "o1"]


def test_nothing_to_do_is_fine(desk):
    assert desk.take() == []
