"""Every fault on every service of Part C, over a real broker. Sleeping, time and death are fakes."""

import functools
import json
import select
import socket
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import count
from typing import Any

import inventory_consumer.app
import notification_consumer.app
import producer_order.app
import pytest
from broker import topics
from broker.transactional_consumer import TransactionalConsumer
from campus.events import INVENTORY_RESERVED, ORDER_PLACED, new_event
from campus.faults import Faults
from campus.ids import new_order_id
from campus.loop import Loop
from conftest import DATA
from flask.testing import FlaskClient
from node import Node
from testing import loops, wait_until
from testing.fakes import ProcessKilled

APPS = {"order": producer_order.app, "inventory": inventory_consumer.app, "notification": notification_consumer.app}
READS = {"order": topics.ORDERS, "inventory": topics.ORDERS, "notification": topics.INVENTORY}
EVENTS = {"order": ORDER_PLACED, "inventory": ORDER_PLACED, "notification": INVENTORY_RESERVED}
DONE = {"inventory": "/reservations", "notification": "/notifications", "order": "/orders"}
EMITS = {"inventory": topics.INVENTORY, "notification": topics.NOTIFICATIONS}
NO_FAULT = {
    "delay": 0.0,
    "jitter": 0.0,
    "failure_rate": 0.0,
    "failure_mode": "error",
    "crash_point": None,
    "paused": False,
    "throttle": 0.0,
    "seed": None,
    "expires_in": None,
}
BAD = [
    ({"speed": 1}, "speed"),
    ({"timeout": 1}, "timeout"),
    ({"delay": 60.1}, "delay"),
    ({"jitter": -1}, "jitter"),
    ({"failure_rate": 1.01}, "failure_rate"),
    ({"failure_mode": "explode"}, "failure_mode"),
    ({"crash_point": "sometime"}, "crash_point"),
    ({"paused": 1}, "paused"),
    ({"throttle": 61}, "throttle"),
    ({"seed": 1.5}, "seed"),
    ({"expires_in": 3601}, "expires_in"),
    ({"delay": 1, "throttle": -1}, "throttle"),
    ([], "(body)"),
]


@dataclass
class Served:
    """A service behind Flask's test client, in a group of its own, and its loops without their threads."""

    name: str
    client: FlaskClient
    consumer: TransactionalConsumer
    loops: dict[str, Loop]
    node: Node
    group: str

    def configure(self, **patch: Any):
        return self.client.post("/configure", json=patch)

    def put(self, number: int = 1, *, partition: int | None = None) -> list[str]:
        """Write so many good messages into the topic that it reads; return their orders."""
        orders = [new_order_id() for _ in range(number)]
        events = [new_event(EVENTS[self.name], order, DATA) for order in orders]
        self.node.put(READS[self.name], *events, partition=partition)
        return orders

    def step(self) -> None:
        """Do rounds until one has found something."""
        wait_until(self.consumer.step)

    def finish(self, *orders: str) -> None:
        """Do rounds until all of these are done, each once."""
        wait_until(lambda: (self.consumer.step(), set(self.done()) >= set(orders))[1])
        while self.consumer.step():
            pass
        assert self.emitted(*orders) == sorted(orders)

    def done(self) -> list[str]:
        return sorted(row["order_id"] for row in self.client.get(DONE[self.name]).json[DONE[self.name][1:]])

    def emitted(self, *orders: str) -> list[str]:
        """Return the orders of which a `read_committed` reader sees what this service emits."""
        return sorted(record.key.decode() for record in self.node.read(EMITS[self.name], *orders))

    def order(self):
        """Send an order, as a client does."""
        return self.client.post("/order", json={"item": "burger", "qty": 1})


_groups = count()


@pytest.fixture
def make(node, tmp_path, monkeypatch, clock) -> Iterator[Callable[[str], Served]]:
    """A function that makes a service by name, on its own database; made again, it is the same one, started anew."""
    node.start()
    group, made = f"served-{next(_groups)}", []
    node.skip(group)

    def make_one(name: str) -> Served:
        consumers = []

        def consumer(bootstrap: str, _group: str, **options: Any) -> TransactionalConsumer:
            consumers.append(TransactionalConsumer(bootstrap, group, **options))
            return consumers[-1]

        faults = functools.partial(Faults, sleep=clock.sleep, clock=lambda: clock.now, kill=clock.kill)
        monkeypatch.setattr(APPS[name], "Faults", faults)
        monkeypatch.setattr(APPS[name], "TransactionalConsumer", consumer)
        env = {"DATABASE_URL": f"sqlite:///{tmp_path}/{name}.db", "KAFKA_BOOTSTRAP": node.bootstrap}
        app = APPS[name].create_app(env)
        lifecycle = app.extensions["campus"]
        made.append(lifecycle)
        return Served(name, app.test_client(), consumers[0], loops(lifecycle), node, group)

    yield make_one
    for lifecycle in made:
        lifecycle.stop()


@pytest.fixture(params=["order", "inventory", "notification"])
def service(request, make) -> Served:
    """Each of the three services in turn."""
    return make(request.param)


@pytest.fixture(params=sorted(EMITS))
def consuming(request, make) -> Served:
    """Each of the two services whose only work is that of a consumer."""
    return make(request.param)


@pytest.fixture
def orders(make) -> Served:
    """The order service, connected to Kafka."""
    service = make("order")
    connecting = service.loops["connecting"]
    connecting.round(0.0)
    return service


def test_configure_merges_and_reset_is_idempotent(service):
    assert service.client.get("/configure").json == {"status": "configured", "config": NO_FAULT}
    service.configure(delay=1)
    response = service.configure(failure_rate=0.5, paused=True)
    config = NO_FAULT | {"delay": 1.0, "failure_rate": 0.5, "paused": True}
    assert response.json == {"status": "configured", "config": config}
    for _ in range(2):
        assert service.client.delete("/configure").json == {"status": "configured", "config": NO_FAULT}


@pytest.mark.parametrize("name", sorted(APPS))
def test_bad_faults_are_refused_and_change_nothing(make, name):
    service = make(name)
    before = service.configure(delay=0.5, seed=3).json
    for patch, field in BAD:
        response = service.client.post("/configure", json=patch)
        assert response.status_code == 400, json.dumps(patch)
        assert field in [error["field"] for error in json.loads(response.data)["errors"]]
    assert service.client.get("/configure").json == before


def test_delay_and_jitter(consuming, clock):
    consuming.configure(delay=1, jitter=0.5, seed=1)
    consuming.finish(*consuming.put(10))
    assert all(0.5 <= seconds <= 1.5 for seconds in clock.slept)
    assert len(set(clock.slept)) == 10


def test_a_delay_ends_the_batch_in_which_it_begins(consuming, clock, monkeypatch):
    faults = consuming.consumer._faults
    orders = consuming.put(20, partition=0)
    with monkeypatch.context() as patch:
        patch.setattr(faults, "inject", lambda: faults.configure({"delay": 2}) and None)
        consuming.step()
    assert len(consuming.done()) == 1
    consuming.step()
    assert len(consuming.done()) == 2
    consuming.client.delete("/configure")
    consuming.finish(*orders)
    assert clock.slept == [2.0]


def test_a_delay_of_the_order_service_is_not_one_of_what_it_follows(orders, clock):
    orders.configure(delay=2)
    sent = orders.put(10, partition=0)
    orders.step()
    assert (orders.done(), clock.slept) == (sorted(sent), [])


def test_a_seed_repeats_which_messages_fail(consuming, clock):
    runs = []
    for _ in range(2):
        consuming.configure(failure_rate=0.2, failure_mode="drop", seed=3)
        before, orders = consuming.done(), consuming.put(20, partition=0)
        wait_until(lambda: consuming.consumer.step() and consuming.consumer._membership.consumer is None)
        runs.append(sum(order in consuming.done() for order in orders))
        consuming.client.delete("/configure")
        consuming.finish(*orders, *before)
    assert runs[0] == runs[1]
    assert 0 < runs[0] < 20


def test_a_message_that_fails_waits_and_does_nothing_until_its_time(consuming, clock):
    consuming.configure(failure_rate=1)
    sent = consuming.put(2, partition=0)
    consuming.step()
    assert (consuming.done(), consuming.emitted(*sent)) == ([], [])
    consuming.client.delete("/configure")
    assert not consuming.consumer.step()
    clock.now += 1
    consuming.finish(*sent)


def test_a_message_that_inventory_rejects_is_told_as_failed(make):
    inventory = make("inventory")
    inventory.configure(failure_rate=1, failure_mode="reject")
    (order,) = inventory.put()
    inventory.finish(order)
    (emitted,) = [json.loads(record.value) for record in inventory.node.read(topics.INVENTORY, order)]
    assert (emitted["event_type"], emitted["data"]) == ("InventoryFailed", {"reason": "injected"})
    assert inventory.client.get("/stock").json["stock"]["burger"]["reserved"] == 0


def test_a_student_cannot_be_refused_so_it_is_tried_again(make, clock):
    notification = make("notification")
    notification.configure(failure_rate=1, failure_mode="reject")
    sent = notification.put()
    notification.step()
    assert notification.done() == []
    notification.client.delete("/configure")
    clock.now += 1
    notification.finish(*sent)


def test_a_hanging_message_holds_its_partition_until_the_fault_is_gone(consuming, clock):
    consuming.configure(failure_rate=1, failure_mode="hang")
    held = consuming.put(3, partition=0)
    consuming.step()
    consuming.configure(failure_rate=1e-9)  # nothing else will hang
    others = consuming.put(3, partition=1)
    consuming.finish(*others)
    clock.now += 100
    assert not consuming.consumer.step()
    assert consuming.done() == sorted(others)
    consuming.client.delete("/configure")
    consuming.finish(*held)


def test_a_drop_closes_the_connection_and_what_came_before_it_is_done(consuming):
    orders = consuming.put(20, partition=0)
    consuming.configure(failure_rate=0.2, failure_mode="drop", seed=3)
    consuming.step()
    before = consuming.done()
    assert 0 < len(before) < 20
    assert consuming.emitted(*orders) == before
    with pytest.raises(ConnectionError):
        consuming.consumer.checks["kafka"]()
    consuming.finish(*orders)


@pytest.mark.parametrize(
    ("point", "done", "emitted"), [("before_commit", 0, 0), ("after_commit", 1, 0), ("after_publish", 1, 1)]
)
def test_crash_points(consuming, make, point, done, emitted):
    consuming.configure(crash_point=point)
    sent = consuming.put()
    with pytest.raises(ProcessKilled):
        consuming.step()
    assert (len(consuming.done()), len(consuming.emitted(*sent))) == (done, emitted)
    consuming.consumer.stop()
    again = make(consuming.name)
    assert again.client.get("/configure").json["config"] == NO_FAULT
    again.finish(*sent)


def test_who_is_paused_takes_nothing_and_stays_in_the_group(service, monkeypatch):
    service.put()
    service.step()
    before, done = service.node.members(service.group), service.done()
    service.configure(paused=True)
    service.put()
    for _ in range(3):
        assert not service.consumer.step()
    assert (service.node.members(service.group), service.done()) == (before, done)
    service.client.delete("/configure")
    service.step()
    assert len(service.done()) == 2


def test_a_pause_holds_from_the_next_message_on(consuming, monkeypatch):
    """A poll may be under way when it is configured."""
    sent = consuming.put()
    consuming.consumer._membership.join()
    poll = consuming.consumer._membership.consumer.poll
    monkeypatch.setattr(
        consuming.consumer._membership.consumer,
        "poll",
        lambda **how: (found := poll(**how)) and consuming.configure(paused=True) and found,
    )
    consuming.step()
    assert consuming.done() == []
    monkeypatch.undo()
    consuming.client.delete("/configure")
    consuming.finish(*sent)


def test_who_is_throttled_rests_after_each_message_and_stays_in_the_group(service, clock):
    sent = service.put(3, partition=0)
    service.configure(throttle=3)
    for number in (1, 2, 3):
        service.step()
        assert (len(service.done()), clock.slept) == (number, [3.0] * number)
    assert service.done() == sorted(sent)
    assert len(service.node.members(service.group)) == 1


def test_everything_expires(consuming, clock):
    consuming.configure(paused=True, expires_in=10)
    sent = consuming.put()
    clock.now += 5
    assert consuming.client.get("/configure").json["config"]["expires_in"] == 5.0
    wait_until(lambda: not consuming.consumer.step() and consuming.node.members(consuming.group))
    assert consuming.done() == []
    clock.now += 5
    assert consuming.client.get("/configure").json["config"] == NO_FAULT
    consuming.finish(*sent)


def test_an_error_of_the_order_service_is_500_and_does_nothing(orders):
    orders.configure(failure_rate=1)
    response = orders.order()
    assert (response.status_code, json.loads(response.data)["type"]) == (500, "urn:campus:problem:injected-failure")
    assert orders.done() == []


def test_a_refusal_of_the_order_service_fails_the_order_and_tells_nobody(orders):
    orders.configure(failure_rate=1, failure_mode="reject")
    order_id = orders.order().json["order_id"]
    order = orders.client.get(f"/orders/{order_id}").json
    assert (order["status"], order["reason"]) == ("failed", "injected")
    assert orders.node.read(topics.ORDERS, order_id) == []


@pytest.mark.parametrize("mode", ["hang", "drop"])
def test_a_request_without_an_answer_does_nothing(orders, mode):
    orders.configure(failure_rate=1, failure_mode=mode)
    server_end, client_end = socket.socketpair()
    with server_end, client_end:
        if mode == "hang":
            client_end.shutdown(socket.SHUT_WR)  # the caller leaves, else it would hang for ever
        body = {"item": "burger", "qty": 1}
        orders.client.post("/order", json=body, environ_overrides={"gunicorn.socket": server_end})
        readable, _, _ = select.select([client_end], [], [], 5)
        assert readable
        assert client_end.recv(1) == b""
    assert orders.done() == []


@pytest.mark.parametrize("point", ["before_commit", "after_commit", "after_publish"])
def test_the_order_service_crashes_while_it_takes_an_order(orders, make, point):
    orders.configure(crash_point=point)
    with pytest.raises(ProcessKilled):
        orders.order()
    kept = orders.done()
    assert len(kept) == (0 if point == "before_commit" else 1)
    again = make("order")
    assert again.done() == kept
    assert len(again.node.read(topics.ORDERS, *kept)) == (1 if point == "after_publish" else 0) or not kept
