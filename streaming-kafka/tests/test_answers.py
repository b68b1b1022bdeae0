"""What `POST /order` answers stays true, in whatever order requests, Kafka and the background go on.

Each request runs in a thread of its own and stops where it would wait for Kafka; a schedule that hypothesis draws says
who goes on, and what Kafka does. The second process is a replica that takes over what the first seems to have left.
"""

import contextlib
import queue
import threading
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from broker.producer import BrokerDown
from campus import order_store, pending
from campus.database import Database
from campus.events import Event
from campus.faults import CONSUMING, Faults
from campus.orders import Order
from campus.pending import LEASE_ROUNDS, PendingSteps
from campus.problems import Problem
from hypothesis import example, given, settings
from hypothesis import strategies as st
from producer_order.order_publisher import RETRY_SECONDS, OrderPublisher

ACKNOWLEDGED, ANSWER_LOST, LOST, REFUSED = "acknowledged", "answer lost", "lost", "refused"


@dataclass
class Call:
    """Somebody who waits for Kafka, until `decide` says what Kafka did."""

    events: list[Event]
    outcome: str = ""
    goes_on: threading.Event = field(default_factory=threading.Event)


class Kafka:
    """A producer whose callers wait until the test decides; `log` holds the orders that are in the log."""

    def __init__(self) -> None:
        self.log: list[str] = []
        self.calls: list[Call] = []
        self.stopped: queue.Queue[Any] = queue.Queue()  # whoever waits, or has ended

    def publish(self, events: Iterable[Event]) -> list[str | None]:
        call = Call(list(events))
        self.calls.append(call)
        self.stopped.put(call)
        assert call.goes_on.wait(20)
        if call.outcome == REFUSED:
            raise BrokerDown("down")
        if call.outcome != LOST:
            self.log += [event.order_id for event in call.events]
        return [None if call.outcome == ACKNOWLEDGED else "no answer"] * len(call.events)


@dataclass(frozen=True)
class Answer:
    """What a request was told."""

    key: str | None
    status: int
    order_id: str


class Harness:
    """Two processes on one database, and what clients were told."""

    def __init__(self, folder: Path) -> None:
        self.kafka, self.now = Kafka(), 1000.0
        self.database = Database(f"sqlite:///{folder}/order.db", order_store.metadata, pending.metadata)
        self.pending = [PendingSteps(self.database, clock=lambda: self.now) for _ in range(2)]
        self.publishers = [
            OrderPublisher(database=self.database, pending=pending, producer=self.kafka, faults=Faults(CONSUMING))
            for pending in self.pending
        ]
        self.answers: list[Answer] = []
        self.too_early: list[str] = []
        self.threads: list[threading.Thread] = []

    def run(self, work: Callable[[], Any]) -> None:
        """Do something in a thread, until it waits for Kafka or has ended."""

        def whole() -> None:
            try:
                work()
            finally:
                self.kafka.stopped.put(None)

        self.threads.append(threading.Thread(target=whole))
        self.threads[-1].start()
        self.kafka.stopped.get(timeout=20)

    def ask(self, process: int, key: str | None) -> None:
        """Let a client order."""
        self.run(lambda: self.answers.append(self._answer(process, key)))

    def _answer(self, process: int, key: str | None) -> Answer:
        order = Order.place(user_id="u1", items=[{"sku": "burger", "qty": 1}])
        try:
            placed = self.publishers[process].place(order, key)
        except Problem as problem:
            return Answer(key, problem.status, problem.members["order_id"])
        self.too_early += [placed.order_id] if placed.order_id not in self.kafka.log else []
        return Answer(key, 202, placed.order_id)

    def decide(self, which: int, outcome: str) -> None:
        """Let Kafka do something with what one of those who wait has sent."""
        if self.kafka.calls:
            call = self.kafka.calls.pop(which % len(self.kafka.calls))
            call.outcome = outcome
            call.goes_on.set()
            self.kafka.stopped.get(timeout=20)

    def background(self, process: int) -> None:
        """Let a process tell what requests have left, after the pause between two tries."""

        def recover() -> None:
            with contextlib.suppress(BrokerDown):
                self.publishers[process].recover()

        self.now += RETRY_SECONDS
        self.run(recover)

    def take_over(self, process: int) -> None:
        """Let a process see the other one stand still for long."""
        for _ in range(LEASE_ROUNDS + 2):
            self.pending[process].renew()

    def heal(self) -> None:
        """Let everybody come to an end, and Kafka take all that is told."""
        while self.kafka.calls:
            self.decide(0, ACKNOWLEDGED)
        for _ in range(3):
            for process in (0, 1):
                self.pending[process].renew()
                self.background(process)
                while self.kafka.calls:
                    self.decide(0, ACKNOWLEDGED)
        for thread in self.threads:
            thread.join(20)

    def close(self) -> None:
        for call in self.kafka.calls:
            call.outcome = LOST
            call.goes_on.set()
        self.database.close()


def check(harness: Harness) -> None:
    """Raise AssertionError when an answer has turned out not to be true."""
    with harness.database.transaction() as tx:
        assert order_store.count_pending(tx) == 0
        kept = {order.order_id for order in order_store.page(tx, after="", limit=1000)}
    in_log = set(harness.kafka.log)
    assert not harness.too_early, "a 202 for what Kafka has not acknowledged"
    assert in_log <= kept, "an order that Kafka has is not known any more"
    for answer in harness.answers:
        if answer.status == 202:
            assert answer.order_id in in_log & kept
        elif answer.status == 503:
            assert answer.order_id not in in_log | kept, "an order that was refused is told"
        else:
            assert answer.status in (504, 409)
    for key in ("a", "b"):
        accepted = {answer.order_id for answer in harness.answers if answer.key == key and answer.status == 202}
        assert len(accepted) <= 1, "two orders under one key"


PROCESS = st.integers(0, 1)
KEYS = st.sampled_from(["a", "a", "b", None])
OUTCOMES = st.sampled_from([ACKNOWLEDGED, ANSWER_LOST, LOST, REFUSED, REFUSED])
STEP = (
    st.tuples(st.just("ask"), PROCESS, KEYS)
    | st.tuples(st.just("decide"), st.integers(0, 3), OUTCOMES)
    | st.tuples(st.just("background"), PROCESS)
    | st.tuples(st.just("take_over"), PROCESS)
)


@pytest.mark.promise("answers")
@settings(max_examples=60, deadline=None)
@given(st.lists(STEP, max_size=14))
@example([("ask", 0, "a"), ("ask", 0, "a"), ("decide", 0, REFUSED)])
@example([("ask", 0, "a"), ("decide", 0, LOST), ("ask", 0, "a"), ("background", 0), ("decide", 0, ACKNOWLEDGED)])
@example([("ask", 0, None), ("take_over", 1), ("background", 1), ("decide", 1, ANSWER_LOST), ("decide", 0, REFUSED)])
@example(
    [("ask", 0, None), ("take_over", 1), ("background", 1), ("take_over", 0), ("decide", 1, ANSWER_LOST),
     ("decide", 0, REFUSED)]
)  # fmt: skip
def test_an_answer_stays_true(schedule):
    with TemporaryDirectory() as folder:
        harness = Harness(Path(folder))
        try:
            for name, *given_with in schedule:
                getattr(harness, name)(*given_with)
            harness.heal()
            check(harness)
        finally:
            harness.close()
