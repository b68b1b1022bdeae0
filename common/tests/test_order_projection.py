"""Events bring the orders of the store to the states that they report, in whatever order they come."""

import pytest
from campus import order_projection, order_store
from campus.events import INVENTORY_FAILED, INVENTORY_RESERVED, NOTIFICATION_SENT, Event, new_event, order_placed
from campus.orders import FAILED, NOTIFIED, PLACED, RESERVED, IllegalTransition, Order

BURGER = [{"sku": "burger", "qty": 1}]


class Store:
    """An order store that reads events."""

    def __init__(self, database) -> None:
        self._database = database

    def place_new(self) -> Order:
        order = Order.place(user_id="u1", items=BURGER, request_id="r1")
        with self._database.transaction() as tx:
            return order_store.place(tx, order, key=None)

    def project(self, events: list[Event]) -> list[Event]:
        with self._database.transaction() as tx:
            return order_projection.project(tx, events)

    def find(self, order_id: str) -> Order | None:
        with self._database.transaction() as tx:
            return order_store.find(tx, order_id)


@pytest.fixture
def store(open_database):
    return Store(open_database(order_store.metadata))


AT = "2026-01-31T12:00:00.000001Z"


def result_event(event_type: str, order: Order, *, at: str | None = None, **data) -> Event:
    return new_event(event_type, order.order_id, data or {"user_id": "u1"}, at=at)


def states(order: Order) -> list[str]:
    return [step["status"] for step in order.timeline]


def test_events_bring_an_order_to_its_end(store):
    order = store.place_new()
    store.project([result_event(INVENTORY_RESERVED, order, at=AT)])
    assert store.find(order.order_id).timeline[-1] == {"status": RESERVED, "at": AT}
    store.project([result_event(NOTIFICATION_SENT, order)])
    assert states(store.find(order.order_id)) == [PLACED, RESERVED, NOTIFIED]


def test_a_failure_is_projected_with_its_reason(store):
    order = store.place_new()
    store.project([result_event(INVENTORY_FAILED, order, reason="unknown_sku")])
    found = store.find(order.order_id)
    assert (found.status, found.reason) == (FAILED, "unknown_sku")


def test_events_that_overtook_each_other_in_a_batch_are_put_in_order(store):
    one, two = store.place_new(), store.place_new()
    store.project(
        [
            result_event(NOTIFICATION_SENT, one),
            result_event(INVENTORY_RESERVED, two),
            result_event(INVENTORY_RESERVED, one),
        ]
    )
    assert states(store.find(one.order_id)) == [PLACED, RESERVED, NOTIFIED]
    assert states(store.find(two.order_id)) == [PLACED, RESERVED]


@pytest.mark.parametrize("url", ["sqlite"], indirect=True)
def test_while_events_come_once_and_in_turn_no_order_is_read(store, monkeypatch):
    """On PostgreSQL psycopg's count over many rows was short once, on a busy machine: then each order is read."""

    def find_many(*_):
        raise AssertionError("an order was read")

    monkeypatch.setattr(order_store, "find_many", find_many)
    placed = Order.place(user_id="u1", items=BURGER)
    failed = store.place_new()
    store.project([order_placed(placed)])
    store.project(
        [order_placed(placed), result_event(INVENTORY_RESERVED, placed), result_event(NOTIFICATION_SENT, placed)]
    )
    store.project([order_placed(failed), result_event(INVENTORY_FAILED, failed, reason="injected")])
    assert states(store.find(placed.order_id)) == [PLACED, RESERVED, NOTIFIED]
    assert states(store.find(failed.order_id)) == [PLACED, FAILED]


def test_an_event_that_is_told_again_changes_nothing(store):
    order = store.place_new()
    store.project([result_event(INVENTORY_RESERVED, order), result_event(INVENTORY_RESERVED, order)])
    store.project([result_event(NOTIFICATION_SENT, order)])
    before = store.find(order.order_id)
    store.project([result_event(NOTIFICATION_SENT, order, at=AT), result_event(INVENTORY_RESERVED, order, at=AT)])
    assert store.find(order.order_id) == before


@pytest.mark.parametrize(
    ("earlier", "event_type"),
    [([INVENTORY_FAILED], INVENTORY_RESERVED), ([INVENTORY_RESERVED], INVENTORY_FAILED)],
)
def test_an_event_that_does_not_follow_is_refused_and_the_whole_batch_with_it(store, earlier, event_type):
    order, other = store.place_new(), store.place_new()
    store.project([result_event(kind, order, reason="unknown_sku") for kind in earlier])
    before = store.find(order.order_id)
    with pytest.raises(IllegalTransition):
        store.project([result_event(INVENTORY_RESERVED, other), result_event(event_type, order, reason="unknown_sku")])
    assert store.find(order.order_id) == before
    assert store.find(other.order_id) == other


def test_events_that_come_too_early_are_given_back_and_the_others_projected(store):
    order, other, stranger = store.place_new(), store.place_new(), Order.place(user_id="u1", items=BURGER)
    early = [result_event(INVENTORY_RESERVED, stranger), result_event(NOTIFICATION_SENT, order)]
    assert store.project([*early, result_event(INVENTORY_RESERVED, other)]) == early
    assert states(store.find(other.order_id)) == [PLACED, RESERVED]
    assert store.find(order.order_id) == order
    store.project([result_event(INVENTORY_RESERVED, order), *early[1:]])
    assert states(store.find(order.order_id)) == [PLACED, RESERVED, NOTIFIED]


def test_an_order_and_all_that_became_of_it_are_projected_together(store):
    order = Order.place(user_id="u1", items=BURGER, request_id="r1")
    results = [result_event(INVENTORY_RESERVED, order, at=AT), result_event(NOTIFICATION_SENT, order, at=AT)]
    assert store.project([*results, order_placed(order)]) == []
    assert store.find(order.order_id) == order.advance(RESERVED, at=AT).advance(NOTIFIED, at=AT)


def test_an_order_that_another_process_writes_meanwhile_is_projected_all_the_same(store, monkeypatch):
    order, look = store.place_new(), order_store.find_many
    first = iter([{}])
    monkeypatch.setattr(order_store, "find_many", lambda tx, ids: next(first, look(tx, ids)))
    assert store.project([order_placed(order), result_event(INVENTORY_RESERVED, order)]) == []
    assert store.find(order.order_id).status == RESERVED
