"""The order service's memory: orders, the steps that are pending, and Idempotency-Keys."""

import threading

import pytest
from campus import order_store
from campus.order_store import PendingStep
from campus.orders import FAILED, NOTIFIED, PLACED, RESERVED, UNKNOWN, Order
from campus.problems import Problem

BURGER = [{"sku": "burger", "qty": 1}]


class Store:
    """The functions of order_store, each in a transaction of its own."""

    def __init__(self, database) -> None:
        self._database = database

    def __getattr__(self, name: str):
        def call(*args, **options):
            with self._database.transaction() as tx:
                return getattr(order_store, name)(tx, *args, **options)

        return call

    def place_new(
        self, *, key: str | None = None, pending_step: PendingStep | None = None, user_id: str = "u1"
    ) -> Order:
        order = Order.place(user_id=user_id, items=BURGER, request_id="r1")
        return self.place(order, key=key, pending_step=pending_step)


@pytest.fixture
def store(open_database):
    return Store(open_database(order_store.metadata))


ME, OTHER = "me", "other"


def pending_step(step: str, owner: str = ME) -> PendingStep:
    return PendingStep(step, owner)


def due(store, step: str, *, owner: str = ME, after: str = "", limit: int = 9) -> list[str]:
    return [order.order_id for order in store.due(owner=owner, step=step, after=after, limit=limit)]


def test_an_order_is_found_as_it_was_placed(store):
    order = store.place_new()
    assert store.find(order.order_id) == order
    assert store.find("nothing") is None


def test_the_next_state_is_written_with_its_timeline_and_reason(store):
    placed = store.place_new(pending_step=pending_step("ask"))
    failed = placed.advance(FAILED, reason="unknown_sku")
    assert store.save(placed, failed, step="ask", pending_step=None)
    assert store.find(placed.order_id) == failed


def test_a_state_that_was_left_cannot_be_left_again(store):
    placed = store.place_new(pending_step=pending_step("ask"))
    reserved = placed.advance(RESERVED)
    assert store.save(placed, reserved, step="ask", pending_step=pending_step("notify"))
    assert not store.save(placed, placed.advance(FAILED), step="ask", pending_step=pending_step("release"))
    assert store.find(placed.order_id) == reserved
    assert (due(store, "notify"), due(store, "release")) == ([placed.order_id], [])


def test_a_step_that_is_not_pending_any_more_changes_nothing(store):
    """Two processes took the step: one had decided meanwhile that the order must be released."""
    placed = store.place_new(pending_step=pending_step("ask"))
    unknown = placed.advance(UNKNOWN)
    assert store.save(placed, unknown, step="ask", pending_step=pending_step("ask"))
    assert store.save(unknown, unknown, step="ask", pending_step=pending_step("release", OTHER))
    assert not store.save(unknown, unknown.advance(RESERVED), step="ask", pending_step=pending_step("notify"))
    assert store.find(placed.order_id) == unknown
    assert due(store, "release", owner=OTHER) == [placed.order_id]


def test_a_step_is_pending_until_a_state_has_none(store):
    placed = store.place_new(pending_step=pending_step("ask"))
    assert due(store, "ask") == [placed.order_id]
    reserved = placed.advance(RESERVED)
    store.save(placed, reserved, step="ask", pending_step=pending_step("notify"))
    assert (due(store, "ask"), due(store, "notify")) == ([], [placed.order_id])
    store.save(reserved, reserved.advance(NOTIFIED), step="notify", pending_step=None)
    assert due(store, "notify") == []
    assert store.count_pending() == 0


def test_a_settled_order_has_no_step(store):
    order = store.place_new(pending_step=pending_step("tell"))
    store.clear_pending(order.order_id)
    assert (due(store, "tell"), store.count_pending()) == ([], 0)


def test_a_process_sees_its_own_steps_oldest_first_and_page_by_page(store):
    ids = [store.place_new(pending_step=pending_step("ask")).order_id for _ in range(3)]
    store.place_new(pending_step=pending_step("ask", OTHER))
    assert due(store, "ask") == ids
    assert due(store, "ask", limit=2) == ids[:2]
    assert due(store, "ask", after=ids[1], limit=2) == ids[2:]


def test_only_the_owner_forgets_an_order(store):
    order = store.place_new(pending_step=pending_step("tell"))
    assert not store.forget(order.order_id, owner=OTHER)
    assert store.find(order.order_id) == order
    assert store.forget(order.order_id, owner=ME)
    assert store.find(order.order_id) is None


def test_the_same_key_and_body_give_the_same_order(store):
    first = store.place_new(key="k1", pending_step=pending_step("ask"))
    assert store.place_new(key="k1", pending_step=pending_step("ask")) == first
    assert store.count_pending() == 1


def test_the_same_key_with_another_body_is_refused(store):
    first = store.place_new(key="k1")
    with pytest.raises(Problem) as caught:
        store.place_new(key="k1", user_id="u2")
    assert (caught.value.status, caught.value.members) == (422, {"order_id": first.order_id})
    assert len(store.page(after="", limit=9)) == 1


def test_a_repeated_key_shows_the_order_as_it_is_now(store):
    placed = store.place_new(key="k1", pending_step=pending_step("ask"))
    store.save(placed, placed.advance(RESERVED), step="ask", pending_step=None)
    assert store.place_new(key="k1").status == RESERVED


def test_orders_without_a_key_are_different_orders(store):
    assert store.place_new().order_id != store.place_new().order_id
    assert len(store.page(after="", limit=9)) == 2


def test_a_forgotten_key_makes_a_new_order(store):
    first = store.place_new(key="k1")
    store.forget_key(first.order_id)
    assert store.place_new(key="k1").order_id != first.order_id
    assert store.find(first.order_id) == first


def test_threads_with_one_key_make_one_order(store):
    placed, start = [], threading.Barrier(8)

    def place() -> None:
        start.wait()
        placed.append(store.place_new(key="k1"))

    threads = [threading.Thread(target=place) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(placed) == 8
    assert len({order.order_id for order in placed}) == 1
    assert len(store.page(after="", limit=9)) == 1


def test_pages_are_oldest_first_and_can_be_of_one_status(store):
    orders = [store.place_new(pending_step=pending_step("ask")) for _ in range(5)]
    store.save(orders[1], orders[1].advance(RESERVED), step="ask", pending_step=None)
    ids = [order.order_id for order in orders]
    assert [order.order_id for order in store.page(after="", limit=3)] == ids[:3]
    assert [order.order_id for order in store.page(after=ids[2], limit=3)] == ids[3:]
    assert [order.order_id for order in store.page(after="", limit=9, status=RESERVED)] == [ids[1]]
    assert [order.order_id for order in store.page(after=ids[1], limit=1, status=PLACED)] == [ids[2]]


def test_what_is_owed_survives_opening_again(open_database):
    order = Store(open_database(order_store.metadata)).place_new(key="k1", pending_step=pending_step("ask"))
    again = Store(open_database(order_store.metadata))
    assert due(again, "ask") == [order.order_id]
    assert again.place_new(key="k1") == order
