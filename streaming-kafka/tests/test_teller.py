"""How an order gets into the log, with a producer that does what the test says."""

from types import SimpleNamespace

import pytest
from broker.producer import NotSent
from campus import order_book
from campus.database import Database
from campus.faults import CONSUMING, Faults
from campus.messages import Message
from campus.orders import Order
from campus.pending import PendingSteps
from campus.problems import Problem
from producer_order.teller import RETRY_SECONDS, Teller


class FakeProducer:
    """Takes events, and gives the next of its answers: None, a trouble, or an exception to raise."""

    def __init__(self) -> None:
        self.answers: list = []
        self.told: list[Message] = []

    def publish(self, events: list[Message]) -> list[str | None]:
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        self.told += events
        return [answer] * len(events)


class World:
    """A teller on a database of its own, with a clock that stands still."""

    def __init__(self, url: str, clock: SimpleNamespace) -> None:
        self.clock, self.producer = clock, FakeProducer()
        self.database = Database(url, order_book.metadata)
        pending = PendingSteps(self.database, clock=lambda: clock.now)
        faults = Faults(CONSUMING)
        self.teller = Teller(database=self.database, pending=pending, producer=self.producer, faults=faults)

    def place(self, key: str | None = None, sku: str = "burger") -> Order:
        order = Order.place(user_id="u1", items=[{"sku": sku, "qty": 1}], request_id="r1")
        return self.teller.place(order, key)

    def orders(self) -> list[Order]:
        with self.database.transaction() as tx:
            return order_book.page(tx, after="", limit=100)

    def owed(self) -> int:
        with self.database.transaction() as tx:
            return order_book.count_pending(tx)


@pytest.fixture
def world(tmp_path):
    clock = SimpleNamespace(now=1000.0)
    made = World(f"sqlite:///{tmp_path}/order.db", clock)
    yield made
    made.database.close()


def test_an_acknowledged_order_is_owed_nothing(world):
    order = world.place()
    assert [m.order_id for m in world.producer.told] == [order.order_id]
    assert (len(world.orders()), world.owed()) == (1, 0)


def test_what_was_certainly_not_sent_leaves_nothing_behind(world):
    world.producer.answers = [NotSent("down")]
    with pytest.raises(Problem) as refused:
        world.place()
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "2")
    assert (world.orders(), world.owed()) == ([], 0)


def test_an_unknown_outcome_is_told_again_until_it_is_acknowledged(world):
    world.producer.answers = ["no answer", "no answer"]
    with pytest.raises(Problem) as unknown:
        world.place()
    assert unknown.value.status == 504
    assert world.teller.resolve() is False
    world.clock.now += RETRY_SECONDS
    assert world.teller.resolve() is True
    assert world.owed() == 0
    assert len({m.event_id for m in world.producer.told}) == 1


def test_the_same_key_gives_the_same_order_and_tells_nobody_again(world):
    first, second = world.place("lunch"), world.place("lunch")
    assert first.order_id == second.order_id
    assert len(world.producer.told) == 1


def test_the_same_key_with_another_body_is_refused(world):
    world.place("lunch")
    with pytest.raises(Problem) as refused:
        world.place("lunch", sku="pizza")
    assert refused.value.status == 422


def test_a_key_is_free_again_after_nothing_was_sent(world):
    world.producer.answers = [NotSent("down")]
    with pytest.raises(Problem):
        world.place("lunch")
    assert world.place("lunch", sku="pizza").items == [{"sku": "pizza", "qty": 1}]
