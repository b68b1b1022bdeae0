"""How the order store follows the log, whose topics are read in no common order."""

import itertools
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from campus import order_store
from campus.database import Database
from campus.events import INVENTORY_FAILED, INVENTORY_RESERVED, NOTIFICATION_SENT, new_event, order_placed
from campus.orders import Order
from campus.retry import WorkItem
from producer_order import parked_events
from producer_order.app import project

BURGER = [{"sku": "burger", "qty": 1}]


class Store:
    """An order store that reads events."""

    def __init__(self, url: str) -> None:
        self.database = Database(url, order_store.metadata, parked_events.metadata)

    def reads(self, *events) -> None:
        with self.database.transaction() as tx:
            assert project(tx, [WorkItem(message) for message in events]) == []

    def shows(self, order: Order) -> list[str]:
        with self.database.transaction() as tx:
            found = order_store.find(tx, order.order_id)
        return [step["status"] for step in found.timeline] if found else []

    def keeps(self) -> int:
        with self.database.transaction() as tx:
            return tx.execute("SELECT count(*) FROM parked_events").fetchone()[0]


@pytest.fixture
def store(tmp_path):
    made = Store(f"sqlite:///{tmp_path}/order.db")
    yield made
    made.database.close()


def story(order: Order) -> list:
    data = {"user_id": order.user_id, "items": order.items}
    return [
        order_placed(order),
        new_event(INVENTORY_RESERVED, order.order_id, data),
        new_event(NOTIFICATION_SENT, order.order_id, {"user_id": order.user_id}),
    ]


@pytest.mark.promise("INV-1")
@pytest.mark.parametrize("places", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("batches", ["one by one", "together"])
def test_whatever_is_read_first_the_order_ends_alike(store, places, batches):
    order = Order.place(user_id="u1", items=BURGER)
    events = [story(order)[place] for place in places]
    for batch in [events] if batches == "together" else [[message] for message in events]:
        store.reads(*batch)
    assert store.shows(order) == ["placed", "reserved", "notified"]
    assert store.keeps() == 0


def test_an_event_that_came_early_waits_for_its_own_order(store):
    order, other = (Order.place(user_id="u1", items=BURGER) for _ in range(2))
    store.reads(new_event(INVENTORY_FAILED, order.order_id, {"reason": "unknown_sku"}))
    store.reads(order_placed(other))
    assert (store.shows(other), store.keeps()) == (["placed"], 1)
    store.reads(order_placed(order))
    assert (store.shows(order), store.keeps()) == (["placed", "failed"], 0)


def test_an_early_event_that_is_told_again_is_kept_once(store):
    verdict = new_event(INVENTORY_FAILED, "o1", {"reason": "unknown_sku"})
    store.reads(verdict)
    store.reads(verdict, verdict)
    assert store.keeps() == 1


def test_an_early_event_whose_order_never_comes_is_kept_for_seven_days(store, monkeypatch):
    began = datetime.now(UTC)

    def reads_after(**passed: float) -> None:
        monkeypatch.setattr(parked_events, "clock", SimpleNamespace(now=lambda: began + timedelta(**passed)))
        store.reads(
            new_event(INVENTORY_FAILED, Order.place(user_id="u1", items=BURGER).order_id, {"reason": "injected"})
        )

    for hours in (0, -5, 5):  # the clock is set
        reads_after(hours=hours)
    reads_after(days=6, hours=18)
    assert store.keeps() == 4
    reads_after(days=7, hours=1)
    assert store.keeps() == 3  # those of 0 and -5 are gone
