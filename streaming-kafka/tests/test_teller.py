"""How an order gets into the log, with a producer that does what the test says."""

import contextlib
import time
from types import SimpleNamespace

import pytest
from broker.producer import NotSent
from campus import order_book
from campus.database import Database, DatabaseDown
from campus.faults import CONSUMING, Faults
from campus.messages import Message
from campus.orders import Order
from campus.pending import LEASE_ROUNDS, PendingSteps
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


def test_a_key_whose_order_is_undecided_is_refused_until_kafka_has_the_order(world):
    world.producer.answers = ["no answer"]
    with pytest.raises(Problem):
        world.place("lunch")
    (order,) = world.orders()
    with pytest.raises(Problem) as undecided:
        world.place("lunch")
    assert (undecided.value.status, undecided.value.headers["Retry-After"]) == (409, "1")
    assert undecided.value.members["order_id"] == order.order_id
    assert world.teller.resolve()
    assert world.place("lunch") == order


def test_a_refusal_names_the_order_that_is_not_there(world):
    world.producer.answers = [NotSent("down")]
    with pytest.raises(Problem) as refused:
        world.place()
    assert refused.value.members["order_id"]


def test_an_order_that_another_process_took_over_is_not_refused(world):
    """It may have told Kafka of it."""
    other = PendingSteps(world.database)

    def taken_over(_: list[Message]) -> list:
        for _ in range(LEASE_ROUNDS + 2):
            other.renew()
        raise NotSent("down")

    world.producer.publish = taken_over
    with pytest.raises(Problem) as unknown:
        world.place()
    assert unknown.value.status == 504
    assert (len(world.orders()), world.owed()) == (1, 1)


def broken_after(database: Database, transactions: int):
    """Return the database's `transaction`, which fails at the end of the one after so many."""
    whole, left = database.transaction, iter([False] * transactions + [True])

    @contextlib.contextmanager
    def transaction():
        with whole() as tx:
            yield tx
        if next(left, False):
            raise DatabaseDown("lost during the commit")

    return transaction


@pytest.mark.parametrize(("transactions", "answer"), [(None, NotSent("down")), (0, None), (1, NotSent("down"))])
def test_a_database_that_is_lost_during_a_commit_leaves_it_open(world, monkeypatch, transactions, answer):
    world.producer.answers = [answer]
    if transactions is not None:
        monkeypatch.setattr(world.database, "transaction", broken_after(world.database, transactions))
    with pytest.raises(Problem) as problem:
        world.place()
    assert problem.value.status == (503 if transactions is None else 504)


def test_what_kafka_has_is_accepted_even_if_that_cannot_be_noted(world, monkeypatch):
    monkeypatch.setattr(world.database, "transaction", broken_after(world.database, 1))
    assert world.place("lunch").status == "placed"


def test_a_clock_that_is_set_changes_nothing(world, monkeypatch):
    world.producer.answers = ["no answer"]
    with pytest.raises(Problem):
        world.place()
    for hours in (-5, 5):
        now = time.time() + 3600 * hours
        monkeypatch.setattr(time, "time", lambda now=now: now)
        world.producer.answers = ["no answer"]
        assert not world.teller.resolve()
        world.clock.now += RETRY_SECONDS
    assert world.teller.resolve()
