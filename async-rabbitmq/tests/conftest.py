"""What the tests of Part B share: a real RabbitMQ node of their own, and fakes for a world without one."""

import contextlib
import functools
import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

import inventory_service.app
import notification_service.app
import order_service.app
import order_service.relay
import pytest
from broker import worker
from broker.consumer import Delivery
from broker.publisher import Outgoing
from campus.database import Database
from campus.events import Event, parse
from campus.faults import Faults
from campus.lifecycle import Part
from campus.problems import CONTENT_TYPE
from chain import Chain
from flask.testing import FlaskClient
from node import Node
from testing import loops
from testing.fakes import FakeClock
from testing.needs import started
from testing.postgres import cluster as cluster

APPS = {"order": order_service.app, "inventory": inventory_service.app, "notification": notification_service.app}
STOCK = {"burger": 5, "fries": 5}


class LoggedDatabase(Database):
    """A database that writes its commits into the journal."""

    journal: list[str]

    @contextlib.contextmanager
    def transaction(self):
        with super().transaction() as tx:
            yield tx
        getattr(self, "journal", []).append("commit")


@dataclass
class FakeConsumer(Part):
    """A queue whose messages are put in by the test; `journal` is told what becomes of them."""

    queue: str
    journal: list[str] = field(default_factory=list)
    waiting: list[Delivery] = field(default_factory=list)
    acked: list[int] = field(default_factory=list)
    all_before: list[bool] = field(default_factory=list)
    taken: list[int] = field(default_factory=list)
    drops: int = 0
    connection: int = 1

    def put(self, body: Event | bytes, **headers: Any) -> int:
        """Deliver a message; return its tag."""
        self._tags = getattr(self, "_tags", 0) + 1
        message_id = body.event_id if isinstance(body, Event) else None
        raw = body.encode() if isinstance(body, Event) else body
        self.waiting.append(Delivery(self.connection, self._tags, raw, headers, message_id))
        return self._tags

    def take(self, most: int, wait: float) -> list[Delivery]:
        batch, self.waiting = self.waiting[:most], self.waiting[most:]
        if batch:
            self.taken.append(len(batch))
        return batch

    def holds(self, delivery: Delivery) -> bool:
        return delivery.channel == self.connection

    def ack(self, deliveries: list[Delivery], *, all_before: bool) -> None:
        if not deliveries:
            return
        self.journal.append("ack")
        self.acked += [d.tag for d in deliveries]
        self.all_before.append(all_before)

    def drop(self) -> None:
        self.drops += 1
        self.connection += 1

    def fetch_many(self) -> None: ...


@dataclass
class FakePublisher(Part):
    """A broker that confirms everything, unless `troubles` says otherwise for a message, by order id, key or id."""

    journal: list[str] = field(default_factory=list)
    sent: list[Outgoing] = field(default_factory=list)
    troubles: dict[str, str] = field(default_factory=dict)
    down: str | None = None

    def publish(self, messages: list[Outgoing], *, timeout: float) -> list[str | None]:
        assert timeout > 0
        if messages and self.down:
            raise ConnectionError(self.down)
        if messages:
            self.journal.append("publish")
        troubles = [self._trouble(message) for message in messages]
        self.sent += [message for message, trouble in zip(messages, troubles, strict=True) if not trouble]
        return troubles

    def _trouble(self, message: Outgoing) -> str | None:
        return next((why for word, why in self.troubles.items() if word in (message.key, message.message_id)), None)

    @property
    def keys(self) -> list[str]:
        return [message.key for message in self.sent]

    @property
    def orders(self) -> list[str]:
        return [json.loads(message.body)["order_id"] for message in self.sent]

    @property
    def checks(self) -> dict[str, Callable[[], None]]:
        return {"publisher": self.check}

    def check(self) -> None:
        if self.down:
            raise ConnectionError(self.down)


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@dataclass
class Served:
    """A service behind Flask's test client, its broker being fakes, and its loops without their threads."""

    name: str
    client: FlaskClient
    consumer: FakeConsumer
    publisher: FakePublisher
    journal: list[str]
    loops: dict[str, Any]

    def configure(self, **patch: Any):
        return self.client.post("/configure", json=patch)

    def take(self, *messages: Event | bytes) -> None:
        """Deliver these messages and do one round of the consumer's loop."""
        for message in messages:
            self.consumer.put(message)
        self.loops[self.consumer.queue].round(0.0)

    def relay(self) -> None:
        """Do one round of the order service's relay."""
        self.loops["relay"].round(0.0)

    def events(self) -> list[Event]:
        """Return the events that were published, without retries and dead letters."""
        return [parse(m.body, m_type(m)) for m in self.publisher.sent if m.exchange]

    def listed(self, path: str) -> list[dict]:
        """Return what the service lists there."""
        return self.client.get(path).json[path[1:]]

    def memory(self) -> list:
        """Return everything that the service would show."""
        return [self.client.get(path).json for path in (*REMEMBERED[self.name], "/configure")]


REMEMBERED = {"order": ["/orders"], "inventory": ["/reservations", "/stock"], "notification": ["/notifications"]}


def m_type(message: Outgoing) -> str:
    return json.loads(message.body)["event_type"]


@pytest.fixture
def make(tmp_path, monkeypatch, clock) -> Iterator[Callable[..., Served]]:
    """A function that makes a service by name, on its own database, on a fake clock."""
    made = []

    def make_one(name: str) -> Served:
        module, journal, fakes = APPS[name], [], {}

        def consumer(_url: str, _name: str, queue: str, **_: Any) -> FakeConsumer:
            return fakes.setdefault("consumer", FakeConsumer(queue, journal))

        def publisher(_url: str, _name: str) -> FakePublisher:
            return fakes.setdefault("publisher", FakePublisher(journal))

        faults = functools.partial(Faults, sleep=clock.sleep, clock=lambda: clock.now, kill=clock.kill)
        database = type("Logged", (LoggedDatabase,), {"journal": journal})
        monkeypatch.setattr(module, "Faults", faults)
        monkeypatch.setattr(module, "Database", database)
        monkeypatch.setattr(worker, "Consumer", consumer)
        for user in (worker, order_service.relay):
            monkeypatch.setattr(user, "Publisher", publisher)
        env = {"DATABASE_URL": f"sqlite:///{tmp_path}/{name}.db", "INITIAL_STOCK": json.dumps(STOCK)}
        app = module.create_app(env)
        made.append(app)
        its_loops = loops(app.extensions["campus"])
        journal.clear()
        return Served(name, app.test_client(), fakes["consumer"], fakes["publisher"], journal, its_loops)

    yield make_one
    for app in made:
        app.extensions["campus"].stop()


def problem_of(response) -> dict:
    """Return the problem in a response that must be one."""
    assert response.content_type == CONTENT_TYPE, response.text
    body = response.get_json(force=True)
    assert body["status"] == response.status_code
    return body


@pytest.fixture
def problem() -> Callable[..., dict]:
    """A function that returns the problem in a response, and fails if it is none."""
    return problem_of


@pytest.fixture(scope="session")
def node(tmp_path_factory) -> Iterator[Node]:
    """Run a RabbitMQ node; fail without one, unless CAMPUS_WITHOUT_RABBITMQ=1 says that this is known."""
    with started("RabbitMQ", Node(tmp_path_factory.mktemp("rabbitmq"))) as node:
        yield node


@pytest.fixture
def broker(node) -> Node:
    """The node, up, with the whole topology and nothing in its queues."""
    node.restore()
    return node


@pytest.fixture(scope="module")
def running(tmp_path_factory, node) -> Iterator[Chain]:
    chain = Chain(tmp_path_factory.mktemp("chain"), node)
    try:
        yield chain
    finally:
        chain.down()


@pytest.fixture
def chain(running, broker) -> Iterator[Chain]:
    """The chain, all up and without faults; at the end everything must agree."""
    running.up()
    yield running
    broker.start()
    running.up()
    running.check()
