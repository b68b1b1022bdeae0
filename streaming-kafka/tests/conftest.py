"""What the tests of Part C share: a real Kafka node of their own, and a consumer's work without its thread."""

import itertools
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import broker.paused_partitions
import pytest
from broker import emitted_events, topics
from broker.transactional_consumer import TransactionalConsumer
from campus import stock
from campus.database import Database
from campus.events import INVENTORY_RESERVED, ORDER_PLACED, Event, new_event
from campus.faults import CONSUMING, Faults
from campus.ids import new_order_id
from campus.orders import IllegalTransition
from campus.retry import WorkItem
from node import Node
from prometheus_client import CollectorRegistry
from testing import wait_until
from testing.fakes import FakeClock
from testing.needs import started
from testing.postgres import cluster as cluster

DATA = {"user_id": "u1", "items": [{"sku": "burger", "qty": 1}]}


@pytest.fixture(scope="session")
def node(tmp_path_factory) -> Iterator[Node]:
    """One node for all tests; it may be killed, and runs again at the next test that asks for it.

    Without what Kafka needs, the tests fail, unless CAMPUS_WITHOUT_KAFKA=1 says that this is known.
    """
    with started("Kafka", Node(tmp_path_factory.mktemp("kafka"))) as made:
        yield made


@pytest.fixture
def clock(monkeypatch) -> FakeClock:
    """The clock by which messages wait, and by which faults sleep and expire."""
    made = FakeClock()
    monkeypatch.setattr(broker.paused_partitions, "clock", SimpleNamespace(monotonic=lambda: made.now))
    return made


class SharedDatabase(Database):
    """A SQLite database on which several members of this process may work."""

    is_shared = True


class Harness:
    """Consumers of one group of its own, whose work is written down; it begins at what is written from now on.

    `broken` orders fail, those of `never` for good; `during` is called in the middle of each batch, within the work.
    """

    _groups = itertools.count()

    def __init__(self, node: Node, folder: Path, clock: FakeClock) -> None:
        self.node, self.clock, self.group = node, clock, f"bench-{next(self._groups)}"
        self.database = SharedDatabase(f"sqlite:///{folder}/bench.db", stock.metadata, emitted_events.metadata)
        self.faults = self.new_faults()
        self.batches: list[list[str]] = []
        self.refusals: dict[str, str | None] = {}
        self.broken: set[str] = set()
        self.never: set[str] = set()
        self.during: Callable[[], Any] = lambda: None
        self.registry = CollectorRegistry()
        self.consumers: list[TransactionalConsumer] = []
        self.consumer = self.new()
        node.skip(self.group)

    def new_faults(self) -> Faults:
        points = ("before_commit", "after_commit", "after_publish")
        return Faults(
            CONSUMING, points=points, sleep=self.clock.sleep, clock=lambda: self.clock.now, kill=self.clock.kill
        )

    def new(self, **options: Any) -> TransactionalConsumer:
        """Return another member of the group, with the same database."""
        usual = {"reads": [topics.ORDERS], "registry": CollectorRegistry()}
        if not self.consumers:
            usual["registry"] = self.registry
        usual |= {"bootstrap": self.node.bootstrap, "group": self.group, "handle": self._handle}
        usual |= {"database": self.database, "faults": self.faults}
        self.consumers.append(TransactionalConsumer(**usual | options))
        return self.consumers[-1]

    def _handle(self, tx: Any, work_items: Sequence[WorkItem]) -> list[Event]:
        self.batches.append([item.event.order_id for item in work_items])
        self.refusals |= {item.event.order_id: item.refusal for item in work_items}
        if bad := self.broken.intersection(self.batches[-1]):
            raise ValueError(f"{min(bad)} is broken")
        if bad := self.never.intersection(self.batches[-1]):
            raise IllegalTransition(f"{min(bad)} contradicts")
        self.during()
        return [new_event(INVENTORY_RESERVED, item.event.order_id, DATA) for item in work_items]

    def place(self, count: int = 1, *, partition: int | None = None) -> list[str]:
        """Write orders into the log and return their ids."""
        orders = [new_order_id() for _ in range(count)]
        self.node.put(topics.ORDERS, *(placed(order) for order in orders), partition=partition)
        return orders

    def step(self, *, of: TransactionalConsumer | None = None) -> None:
        """Do rounds until one has found something."""
        wait_until((of or self.consumer).step)

    def finish(self, *orders: str) -> None:
        """Do rounds until each of these orders has a verdict, and then some more; each must have just one."""
        wait_until(
            lambda: [consumer.step() for consumer in self.consumers] and len(self.emitted(*orders)) >= len(orders)
        )
        while sum(consumer.step() for consumer in self.consumers):
            pass
        assert self.emitted(*orders) == sorted(orders)

    def emitted(self, *orders: str) -> list[str]:
        """Return the orders of which a `read_committed` reader sees a verdict, one for each verdict."""
        return sorted(record.key.decode() for record in self.node.read(topics.INVENTORY, *orders))

    def dead(self) -> list:
        """Return what this group has dead-lettered."""
        records = self.node.read(topics.DEAD_LETTERS)
        return [record for record in records if dict(record.headers)["x-group"] == self.group.encode()]

    def counted(self, outcome: str) -> float:
        """Return how many messages the metrics say had this outcome."""
        return self.registry.get_sample_value("messages_total", {"group": self.group, "outcome": outcome}) or 0.0


def placed(order_id: str) -> Event:
    """Return the event that tells of an order."""
    return new_event(ORDER_PLACED, order_id, DATA)


@pytest.fixture
def harness(node, tmp_path, clock) -> Iterator[Harness]:
    node.start()
    made = Harness(node, tmp_path, clock)
    yield made
    for consumer in made.consumers:
        consumer.stop()
    made.database.close()
