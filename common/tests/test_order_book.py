"""The order service's memory: orders, the steps that are pending, Idempotency-Keys, and the events that it follows."""

import threading

import pytest
from campus import order_book
from campus.messages import INVENTORY_FAILED, INVENTORY_RESERVED, NOTIFICATION_SENT, Message, event, order_placed
from campus.order_book import Debt
from campus.orders import FAILED, NOTIFIED, PLACED, RESERVED, UNKNOWN, IllegalTransition, Order
from campus.problems import Problem

BURGER = [{"sku": "burger", "qty": 1}]


class Book:
    """The functions of order_book, each in a transaction of its own."""

    def __init__(self, database) -> None:
        self._database = database

    def __getattr__(self, name: str):
        def call(*args, **options):
            with self._database.transaction() as tx:
                return getattr(order_book, name)(tx, *args, **options)

        return call

    def place_new(self, *, key: str | None = None, owed: Debt | None = None, user_id: str = "u1") -> Order:
        order = Order.place(user_id=user_id, items=BURGER, request_id="r1")
        return self.place(order, key=key, owed=owed)


@pytest.fixture
def book(open_database):
    return Book(open_database(order_book.metadata))


ME, OTHER = "me", "other"


def owed(step: str, owner: str = ME) -> Debt:
    return Debt(step, owner)


def due(book, step: str, *, owner: str = ME, after: str = "", limit: int = 9) -> list[str]:
    return [order.order_id for order in book.due(owner=owner, step=step, after=after, limit=limit)]


def test_an_order_is_found_as_it_was_placed(book):
    order = book.place_new()
    assert book.find(order.order_id) == order
    assert book.find("nothing") is None


def test_the_next_state_is_written_with_its_timeline_and_reason(book):
    placed = book.place_new(owed=owed("ask"))
    failed = placed.advance(FAILED, reason="unknown_sku")
    assert book.save(placed, failed, step="ask", owed=None)
    assert book.find(placed.order_id) == failed


def test_a_state_that_was_left_cannot_be_left_again(book):
    placed = book.place_new(owed=owed("ask"))
    reserved = placed.advance(RESERVED)
    assert book.save(placed, reserved, step="ask", owed=owed("notify"))
    assert not book.save(placed, placed.advance(FAILED), step="ask", owed=owed("release"))
    assert book.find(placed.order_id) == reserved
    assert (due(book, "notify"), due(book, "release")) == ([placed.order_id], [])


def test_a_step_that_is_not_pending_any_more_changes_nothing(book):
    """Two processes took the step: one had decided meanwhile that the order must be released."""
    placed = book.place_new(owed=owed("ask"))
    unknown = placed.advance(UNKNOWN)
    assert book.save(placed, unknown, step="ask", owed=owed("ask"))
    assert book.save(unknown, unknown, step="ask", owed=owed("release", OTHER))
    assert not book.save(unknown, unknown.advance(RESERVED), step="ask", owed=owed("notify"))
    assert book.find(placed.order_id) == unknown
    assert due(book, "release", owner=OTHER) == [placed.order_id]


def test_a_step_is_pending_until_a_state_has_none(book):
    placed = book.place_new(owed=owed("ask"))
    assert due(book, "ask") == [placed.order_id]
    reserved = placed.advance(RESERVED)
    book.save(placed, reserved, step="ask", owed=owed("notify"))
    assert (due(book, "ask"), due(book, "notify")) == ([], [placed.order_id])
    book.save(reserved, reserved.advance(NOTIFIED), step="notify", owed=None)
    assert due(book, "notify") == []
    assert book.count_pending() == 0


def test_a_settled_order_has_no_step(book):
    order = book.place_new(owed=owed("tell"))
    book.settle(order.order_id)
    assert (due(book, "tell"), book.count_pending()) == ([], 0)


def test_a_process_sees_its_own_steps_oldest_first_and_page_by_page(book):
    ids = [book.place_new(owed=owed("ask")).order_id for _ in range(3)]
    book.place_new(owed=owed("ask", OTHER))
    assert due(book, "ask") == ids
    assert due(book, "ask", limit=2) == ids[:2]
    assert due(book, "ask", after=ids[1], limit=2) == ids[2:]


def test_only_the_owner_forgets_an_order(book):
    order = book.place_new(owed=owed("tell"))
    assert not book.forget(order.order_id, owner=OTHER)
    assert book.find(order.order_id) == order
    assert book.forget(order.order_id, owner=ME)
    assert book.find(order.order_id) is None


def test_the_same_key_and_body_give_the_same_order(book):
    first = book.place_new(key="k1", owed=owed("ask"))
    assert book.place_new(key="k1", owed=owed("ask")) == first
    assert book.count_pending() == 1


def test_the_same_key_with_another_body_is_refused(book):
    first = book.place_new(key="k1")
    with pytest.raises(Problem) as caught:
        book.place_new(key="k1", user_id="u2")
    assert (caught.value.status, caught.value.members) == (422, {"order_id": first.order_id})
    assert len(book.page(after="", limit=9)) == 1


def test_a_repeated_key_shows_the_order_as_it_is_now(book):
    placed = book.place_new(key="k1", owed=owed("ask"))
    book.save(placed, placed.advance(RESERVED), step="ask", owed=None)
    assert book.place_new(key="k1").status == RESERVED


def test_orders_without_a_key_are_different_orders(book):
    assert book.place_new().order_id != book.place_new().order_id
    assert len(book.page(after="", limit=9)) == 2


def test_a_forgotten_key_makes_a_new_order(book):
    first = book.place_new(key="k1")
    book.forget_key(first.order_id)
    assert book.place_new(key="k1").order_id != first.order_id
    assert book.find(first.order_id) == first


def test_threads_with_one_key_make_one_order(book):
    placed, start = [], threading.Barrier(8)

    def place() -> None:
        start.wait()
        placed.append(book.place_new(key="k1"))

    threads = [threading.Thread(target=place) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(placed) == 8
    assert len({order.order_id for order in placed}) == 1
    assert len(book.page(after="", limit=9)) == 1


def test_pages_are_oldest_first_and_can_be_of_one_status(book):
    orders = [book.place_new(owed=owed("ask")) for _ in range(5)]
    book.save(orders[1], orders[1].advance(RESERVED), step="ask", owed=None)
    ids = [order.order_id for order in orders]
    assert [order.order_id for order in book.page(after="", limit=3)] == ids[:3]
    assert [order.order_id for order in book.page(after=ids[2], limit=3)] == ids[3:]
    assert [order.order_id for order in book.page(after="", limit=9, status=RESERVED)] == [ids[1]]
    assert [order.order_id for order in book.page(after=ids[1], limit=1, status=PLACED)] == [ids[2]]


def test_what_is_owed_survives_opening_again(open_database):
    order = Book(open_database(order_book.metadata)).place_new(key="k1", owed=owed("ask"))
    again = Book(open_database(order_book.metadata))
    assert due(again, "ask") == [order.order_id]
    assert again.place_new(key="k1") == order


AT = "2026-01-31T12:00:00.000001Z"


def told(event_type: str, order: Order, *, at: str | None = None, **data) -> Message:
    return event(event_type, order.order_id, data or {"user_id": "u1"}, at=at)


def states(order: Order) -> list[str]:
    return [step["status"] for step in order.timeline]


def test_events_bring_an_order_to_its_end(book):
    order = book.place_new()
    book.follow([told(INVENTORY_RESERVED, order, at=AT)])
    assert book.find(order.order_id).timeline[-1] == {"status": RESERVED, "at": AT}
    book.follow([told(NOTIFICATION_SENT, order)])
    assert states(book.find(order.order_id)) == [PLACED, RESERVED, NOTIFIED]


def test_a_failure_is_followed_with_its_reason(book):
    order = book.place_new()
    book.follow([told(INVENTORY_FAILED, order, reason="unknown_sku")])
    found = book.find(order.order_id)
    assert (found.status, found.reason) == (FAILED, "unknown_sku")


def test_events_that_overtook_each_other_in_a_batch_are_put_in_order(book):
    one, two = book.place_new(), book.place_new()
    book.follow([told(NOTIFICATION_SENT, one), told(INVENTORY_RESERVED, two), told(INVENTORY_RESERVED, one)])
    assert states(book.find(one.order_id)) == [PLACED, RESERVED, NOTIFIED]
    assert states(book.find(two.order_id)) == [PLACED, RESERVED]


def test_an_event_that_is_told_again_changes_nothing(book):
    order = book.place_new()
    book.follow([told(INVENTORY_RESERVED, order), told(INVENTORY_RESERVED, order)])
    book.follow([told(NOTIFICATION_SENT, order)])
    before = book.find(order.order_id)
    book.follow([told(NOTIFICATION_SENT, order, at=AT), told(INVENTORY_RESERVED, order, at=AT)])
    assert book.find(order.order_id) == before


@pytest.mark.parametrize(
    ("earlier", "event_type"),
    [([INVENTORY_FAILED], INVENTORY_RESERVED), ([INVENTORY_RESERVED], INVENTORY_FAILED)],
)
def test_an_event_that_does_not_follow_is_refused_and_the_whole_batch_with_it(book, earlier, event_type):
    order, other = book.place_new(), book.place_new()
    book.follow([told(kind, order, reason="unknown_sku") for kind in earlier])
    before = book.find(order.order_id)
    with pytest.raises(IllegalTransition):
        book.follow([told(INVENTORY_RESERVED, other), told(event_type, order, reason="unknown_sku")])
    assert book.find(order.order_id) == before
    assert book.find(other.order_id) == other


def test_events_that_come_too_early_are_given_back_and_the_others_followed(book):
    order, other, stranger = book.place_new(), book.place_new(), Order.place(user_id="u1", items=BURGER)
    early = [told(INVENTORY_RESERVED, stranger), told(NOTIFICATION_SENT, order)]
    assert book.follow([*early, told(INVENTORY_RESERVED, other)]) == early
    assert states(book.find(other.order_id)) == [PLACED, RESERVED]
    assert book.find(order.order_id) == order
    book.follow([told(INVENTORY_RESERVED, order), *early[1:]])
    assert states(book.find(order.order_id)) == [PLACED, RESERVED, NOTIFIED]


def test_an_order_and_all_that_became_of_it_are_followed_together(book):
    order = Order.place(user_id="u1", items=BURGER, request_id="r1")
    results = [told(INVENTORY_RESERVED, order, at=AT), told(NOTIFICATION_SENT, order, at=AT)]
    assert book.follow([*results, order_placed(order)]) == []
    assert book.find(order.order_id) == order.advance(RESERVED, at=AT).advance(NOTIFIED, at=AT)


def test_an_order_that_another_process_writes_meanwhile_is_followed_all_the_same(book, monkeypatch):
    order, look = book.place_new(), order_book._by_ids
    first = iter([[]])
    monkeypatch.setattr(order_book, "_by_ids", lambda tx, ids: next(first, look(tx, ids)))
    assert book.follow([order_placed(order), told(INVENTORY_RESERVED, order)]) == []
    assert book.find(order.order_id).status == RESERVED
