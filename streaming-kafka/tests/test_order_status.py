"""How the order book follows the log, whose topics are read in no common order."""

import itertools
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from campus import order_book
from campus.database import Database
from campus.messages import INVENTORY_FAILED, INVENTORY_RESERVED, NOTIFICATION_SENT, event, order_placed
from campus.orders import Order
from campus.work import Task
from producer_order import early
from producer_order.app import follow

BURGER = [{"sku": "burger", "qty": 1}]


class Book:
    """An order book that reads events."""

    def __init__(self, url: str) -> None:
        self.database = Database(url, order_book.metadata)

    def reads(self, *messages) -> None:
        with self.database.transaction() as tx:
            assert follow(tx, [Task(message) for message in messages]) == []

    def shows(self, order: Order) -> list[str]:
        with self.database.transaction() as tx:
            found = order_book.find(tx, order.order_id)
        return [step["status"] for step in found.timeline] if found else []

    def keeps(self) -> int:
        with self.database.transaction() as tx:
            return len(tx.execute(early.early_events.select()).all())


@pytest.fixture
def book(tmp_path):
    made = Book(f"sqlite:///{tmp_path}/order.db")
    yield made
    made.database.close()


def story(order: Order) -> list:
    data = {"user_id": order.user_id, "items": order.items}
    return [
        order_placed(order),
        event(INVENTORY_RESERVED, order.order_id, data),
        event(NOTIFICATION_SENT, order.order_id, {"user_id": order.user_id}),
    ]


@pytest.mark.parametrize("places", list(itertools.permutations(range(3))))
@pytest.mark.parametrize("batches", ["one by one", "together"])
def test_whatever_is_read_first_the_order_ends_alike(book, places, batches):
    order = Order.place(user_id="u1", items=BURGER)
    told = [story(order)[place] for place in places]
    for batch in [told] if batches == "together" else [[message] for message in told]:
        book.reads(*batch)
    assert book.shows(order) == ["placed", "reserved", "notified"]
    assert book.keeps() == 0


def test_an_event_that_came_early_waits_for_its_own_order(book):
    order, other = (Order.place(user_id="u1", items=BURGER) for _ in range(2))
    book.reads(event(INVENTORY_FAILED, order.order_id, {"reason": "unknown_sku"}))
    book.reads(order_placed(other))
    assert (book.shows(other), book.keeps()) == (["placed"], 1)
    book.reads(order_placed(order))
    assert (book.shows(order), book.keeps()) == (["placed", "failed"], 0)


def test_an_early_event_that_is_told_again_is_kept_once(book):
    verdict = event(INVENTORY_FAILED, "o1", {"reason": "unknown_sku"})
    book.reads(verdict)
    book.reads(verdict, verdict)
    assert book.keeps() == 1


def test_an_early_event_whose_order_never_comes_is_kept_for_seven_days(book, monkeypatch):
    began = datetime.now(UTC)

    def reads_after(**passed: float) -> None:
        monkeypatch.setattr(early, "datetime", SimpleNamespace(now=lambda zone: began + timedelta(**passed)))
        book.reads(event(INVENTORY_FAILED, Order.place(user_id="u1", items=BURGER).order_id, {"reason": "injected"}))

    for hours in (0, -5, 5):  # the clock is set
        reads_after(hours=hours)
    reads_after(days=6, hours=18)
    assert book.keeps() == 4
    reads_after(days=7, hours=1)
    assert book.keeps() == 3  # those of 0 and -5 are gone
