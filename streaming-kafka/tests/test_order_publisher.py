"""How an order gets into the log, with a producer that does what the test says."""

import contextlib
import time
from types import SimpleNamespace

import pytest
from broker.producer import BrokerDown
from campus import order_store, pending
from campus.database import CommitUnknown, Database
from campus.events import Event
from campus.faults import CONSUMING, Faults
from campus.orders import Order
from campus.pending import LEASE_ROUNDS, PendingSteps
from campus.problems import Problem
from producer_order.order_publisher import RETRY_SECONDS, OrderPublisher


class FakeProducer:
    """Takes events, and gives the next of its answers: None, a trouble, or an exception to raise."""

    def __init__(self) -> None:
        self.answers: list = []
        self.published: list[Event] = []

    def publish(self, events: list[Event]) -> list[str | None]:
        answer = self.answers.pop(0) if self.answers else None
        if isinstance(answer, Exception):
            raise answer
        self.published += events
        return [answer] * len(events)


class Harness:
    """An order publisher on a database of its own, with a clock that stands still."""

    def __init__(self, url: str, clock: SimpleNamespace) -> None:
        self.clock, self.producer = clock, FakeProducer()
        self.database = Database(url, order_store.metadata, pending.metadata)
        steps = PendingSteps(self.database, clock=lambda: clock.now)
        faults = Faults(CONSUMING)
        self.order_publisher = OrderPublisher(
            database=self.database, pending=steps, producer=self.producer, faults=faults
        )

    def place(self, key: str | None = None, sku: str = "burger") -> Order:
        order = Order.place(user_id="u1", items=[{"sku": sku, "qty": 1}], request_id="r1")
        return self.order_publisher.place(order, key)

    def orders(self) -> list[Order]:
        with self.database.transaction() as tx:
            return order_store.page(tx, after="", limit=100)

    def pending_steps(self) -> int:
        with self.database.transaction() as tx:
            return order_store.count_pending(tx)


@pytest.fixture
def harness(tmp_path):
    clock = SimpleNamespace(now=1000.0)
    made = Harness(f"sqlite:///{tmp_path}/order.db", clock)
    yield made
    made.database.close()


def test_an_acknowledged_order_is_owed_nothing(harness):
    order = harness.place()
    assert [m.order_id for m in harness.producer.published] == [order.order_id]
    assert (len(harness.orders()), harness.pending_steps()) == (1, 0)


@pytest.mark.promise("INV-5", "c-down")
def test_what_was_certainly_not_sent_leaves_nothing_behind(harness):
    harness.producer.answers = [BrokerDown("down")]
    with pytest.raises(Problem) as refused:
        harness.place()
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "2")
    assert (harness.orders(), harness.pending_steps()) == ([], 0)


@pytest.mark.promise("INV-7")
def test_an_unknown_outcome_is_told_again_until_it_is_acknowledged(harness):
    harness.producer.answers = ["no answer", "no answer"]
    with pytest.raises(Problem) as unknown:
        harness.place()
    assert unknown.value.status == 504
    assert harness.order_publisher.recover() is False
    harness.clock.now += RETRY_SECONDS
    assert harness.order_publisher.recover() is True
    assert harness.pending_steps() == 0
    assert len({m.event_id for m in harness.producer.published}) == 1


def test_the_same_key_gives_the_same_order_and_tells_nobody_again(harness):
    first, second = harness.place("lunch"), harness.place("lunch")
    assert first.order_id == second.order_id
    assert len(harness.producer.published) == 1


def test_the_same_key_with_another_body_is_refused(harness):
    harness.place("lunch")
    with pytest.raises(Problem) as refused:
        harness.place("lunch", sku="pizza")
    assert refused.value.status == 422


def test_a_key_is_free_again_after_nothing_was_sent(harness):
    harness.producer.answers = [BrokerDown("down")]
    with pytest.raises(Problem):
        harness.place("lunch")
    assert harness.place("lunch", sku="pizza").items == [{"sku": "pizza", "qty": 1}]


def test_a_key_whose_order_is_undecided_is_refused_until_kafka_has_the_order(harness):
    harness.producer.answers = ["no answer"]
    with pytest.raises(Problem):
        harness.place("lunch")
    (order,) = harness.orders()
    with pytest.raises(Problem) as undecided:
        harness.place("lunch")
    assert (undecided.value.status, undecided.value.headers["Retry-After"]) == (409, "1")
    assert undecided.value.members["order_id"] == order.order_id
    assert harness.order_publisher.recover()
    assert harness.place("lunch") == order


def test_a_refusal_names_the_order_that_is_not_there(harness):
    harness.producer.answers = [BrokerDown("down")]
    with pytest.raises(Problem) as refused:
        harness.place()
    assert refused.value.members["order_id"]


def test_an_order_that_another_process_took_over_is_not_refused(harness):
    """It may have told Kafka of it."""
    other = PendingSteps(harness.database)

    def taken_over(_: list[Event]) -> list:
        for _ in range(LEASE_ROUNDS + 2):
            other.renew()
        raise BrokerDown("down")

    harness.producer.publish = taken_over
    with pytest.raises(Problem) as unknown:
        harness.place()
    assert unknown.value.status == 504
    assert (len(harness.orders()), harness.pending_steps()) == (1, 1)


def broken_after(database: Database, transactions: int):
    """Return the database's `transaction`, which fails at the end of the one after so many."""
    whole, left = database.transaction, iter([False] * transactions + [True])

    @contextlib.contextmanager
    def transaction():
        with whole() as tx:
            yield tx
        if next(left, False):
            raise CommitUnknown("lost during the commit")

    return transaction


@pytest.mark.parametrize(("transactions", "answer"), [(None, BrokerDown("down")), (0, None), (1, BrokerDown("down"))])
def test_a_database_that_is_lost_during_a_commit_leaves_it_open(harness, monkeypatch, transactions, answer):
    harness.producer.answers = [answer]
    if transactions is not None:
        monkeypatch.setattr(harness.database, "transaction", broken_after(harness.database, transactions))
    with pytest.raises(Problem) as problem:
        harness.place()
    assert problem.value.status == (503 if transactions is None else 504)


def test_what_kafka_has_is_accepted_even_if_that_cannot_be_noted(harness, monkeypatch):
    monkeypatch.setattr(harness.database, "transaction", broken_after(harness.database, 1))
    assert harness.place("lunch").status == "placed"


def test_a_clock_that_is_set_changes_nothing(harness, monkeypatch):
    harness.producer.answers = ["no answer"]
    with pytest.raises(Problem):
        harness.place()
    for hours in (-5, 5):
        now = time.time() + 3600 * hours
        monkeypatch.setattr(time, "time", lambda now=now: now)
        harness.producer.answers = ["no answer"]
        assert not harness.order_publisher.recover()
        harness.clock.now += RETRY_SECONDS
    assert harness.order_publisher.recover()
