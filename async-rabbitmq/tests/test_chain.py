"""The three services as real processes and a real broker: what becomes of orders when one of them fails."""

import contextlib
import json
import os
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest
import urllib3
from lab.postgres import Cluster, PostgresMissing, private_cluster
from node import Node
from rig import MARGIN, Service, wait_until
from rig.poison import POISON

PART = Path(__file__).resolve().parents[1]
NAMES = ("order", "inventory", "notification")


class Chain:
    """The three services on one broker, and what a client does with them."""

    def __init__(self, folder: Path, node: Node, databases: dict[str, str] | None = None) -> None:
        self.node = node
        env = {name: {"DATABASE_URL": url} for name, url in (databases or {}).items()}
        self.order, self.inventory, self.notification = self.services = tuple(
            Service(PART, name, folder, RABBITMQ_URL=node.url, **env.get(name, {})) for name in NAMES
        )

    def down(self) -> None:
        """Kill what runs."""
        for service in self.services:
            service.kill()

    def up(self) -> None:
        """Start what does not run, and take every fault away."""
        for service in self.services:
            if not service.runs:
                service.start()
        for service in self.services:
            wait_until(service.ready)
            service.call("DELETE", "/configure")

    def place(self, sku: str = "burger", qty: int = 1, **headers: str) -> str:
        """Place an order, which must be accepted, and return its id."""
        response = self.order.call("POST", "/order", {"item": sku, "qty": qty, "user_id": "u1"}, **headers)
        assert response.status == 202
        return response.json()["order_id"]

    def try_to_place(self) -> str | None:
        """Place an order and return its id, or None when there is no answer."""
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            return self.place()
        return None

    def look(self, order_id: str) -> dict:
        return self.order.call("GET", f"/orders/{order_id}").json()

    def becomes(self, order_id: str, status: str) -> dict:
        """Wait until the order is in its final state, which must be this one, and return it."""
        final = wait_until(lambda: (o := self.look(order_id))["status"] in ("notified", "failed") and o, 60)
        assert final["status"] == status
        return final

    def listed(self, service: Service, path: str) -> list[dict]:
        """Return all that a service lists there."""
        rows, after = [], ""
        while after is not None:
            page = service.call("GET", f"/{path}?limit=1000&after={after}").json()
            rows += page[path]
            after = page["next"]
        return rows

    def is_settled(self) -> bool:
        """Whether every order is in its final state."""
        pages = [self.order.call("GET", f"/orders?limit=1&status={status}").json() for status in ("placed", "reserved")]
        return pages[0]["orders"] == pages[1]["orders"] == []

    def check(self) -> None:
        """Every order came to one end, its reservation and its notification agree with it, and so does stock."""
        wait_until(self.is_settled, 60)
        orders = {row["order_id"]: row["status"] for row in self.listed(self.order, "orders")}
        notified = sorted(order_id for order_id, status in orders.items() if status == "notified")
        reservations = self.listed(self.inventory, "reservations")
        assert sorted(row["order_id"] for row in reservations if row["status"] == "reserved") == notified
        assert sorted(row["order_id"] for row in self.listed(self.notification, "notifications")) == notified
        assert {row["order_id"] for row in reservations} <= set(orders)
        held: dict[str, int] = {}
        for line in (line for row in reservations if row["status"] == "reserved" for line in row["items"]):
            held[line["sku"]] = held.get(line["sku"], 0) + line["qty"]
        for sku, level in self.inventory.call("GET", "/stock").json()["stock"].items():
            assert level == {
                "initial": level["initial"],
                "on_hand": level["initial"] - held.get(sku, 0),
                "reserved": held.get(sku, 0),
            }

    def metric(self, service: Service, name: str) -> float:
        """Return one number of GET /metrics."""
        lines = service.call("GET", "/metrics").data.decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))

    def depth(self) -> float:
        """Return how many events wait in the outbox."""
        return self.metric(self.order, "outbox_depth")

    def why(self, service: Service) -> str:
        """Return what a service says that it lacks: nothing, when it is ready."""
        response = service.call("GET", "/ready")
        assert response.status in (200, 503)
        return "" if response.status == 200 else json.dumps(response.json()["checks"])

    def try_why(self, service: Service) -> str:
        """Return what a service lacks, or nothing when it does not answer."""
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            return self.why(service)
        return ""

    def has_crashed(self, service: Service) -> bool:
        """Whether a service that was told to crash has forgotten that it was."""
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            return service.call("GET", "/configure").json()["config"]["crash_point"] is None
        return False


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


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_an_order_goes_through_all_three(chain):
    order_id = chain.place(**{"X-Request-ID": "r1"})
    final = chain.becomes(order_id, "notified")
    assert [step["status"] for step in final["timeline"]] == ["placed", "reserved", "notified"]
    times = [step["at"] for step in final["timeline"]]
    assert times == sorted(times)


@pytest.mark.parametrize(("sku", "qty", "reason"), [("taco", 100, "insufficient_stock"), ("caviar", 1, "unknown_sku")])
def test_what_cannot_be_reserved_fails_with_its_reason(chain, sku, qty, reason):
    chain.inventory.call("POST", "/stock", {"sku": "taco", "set": 99})
    assert chain.becomes(chain.place(sku, qty), "failed")["reason"] == reason


@pytest.mark.parametrize("point", ["before_commit", "after_commit", "after_publish"])
@pytest.mark.parametrize("name", NAMES)
def test_a_crash_at_any_point_loses_and_doubles_nothing(chain, name, point):
    service = getattr(chain, name)
    service.configure(crash_point=point)
    placed = [chain.try_to_place() for _ in range(3)]
    wait_until(lambda: chain.has_crashed(service))
    placed += [wait_until(chain.try_to_place) for _ in range(3)]
    for order_id in filter(None, placed):
        chain.becomes(order_id, "notified")


@pytest.mark.parametrize("name", NAMES)
def test_a_service_killed_in_the_middle_of_many_orders_loses_and_doubles_nothing(chain, background, name):
    before = len(chain.listed(chain.order, "orders"))
    futures = [background.submit(chain.try_to_place) for _ in range(300)]
    service = getattr(chain, name)
    wait_until(lambda: len(chain.listed(chain.order, "orders")) > before + 50)
    service.kill()
    service.start()
    placed = [future.result(60) for future in futures]
    chain.up()
    chain.check()
    assert {chain.look(order_id)["status"] for order_id in placed if order_id} == {"notified"}


def test_dropped_connections_lose_and_double_nothing(chain):
    chain.inventory.configure(failure_rate=0.3, failure_mode="drop", seed=1)
    chain.notification.configure(failure_rate=0.3, failure_mode="drop", seed=1)
    connected = chain.inventory.log().count("inventory consumer: connected")
    placed = [chain.place() for _ in range(30)]
    wait_until(lambda: chain.inventory.log().count("inventory consumer: connected") > connected)
    for service in (chain.inventory, chain.notification):
        service.call("DELETE", "/configure")
    for order_id in placed:
        chain.becomes(order_id, "notified")


def test_hanging_messages_are_done_after_the_reset(chain):
    chain.inventory.configure(failure_rate=1, failure_mode="hang")
    placed = [chain.place() for _ in range(5)]
    wait_until(lambda: chain.depth() == 0)
    assert {chain.look(order_id)["status"] for order_id in placed} == {"placed"}
    chain.inventory.call("DELETE", "/configure")
    for order_id in placed:
        chain.becomes(order_id, "notified")


def test_failing_messages_are_tried_again_and_done_after_the_reset(chain):
    for service in (chain.inventory, chain.notification):
        service.configure(failure_rate=1)
    first = chain.place()
    retried = 'messages_total{outcome="retried",queue="order-placed"}'
    wait_until(lambda: chain.metric(chain.inventory, retried) >= 2)
    chain.inventory.call("DELETE", "/configure")
    second = chain.place()
    wait_until(lambda: chain.look(second)["status"] == "reserved")
    chain.notification.call("DELETE", "/configure")
    for order_id in (first, second):
        chain.becomes(order_id, "notified")


def test_orders_are_accepted_while_the_broker_is_dead_and_done_when_it_is_back(chain, background):
    futures = [background.submit(chain.place) for _ in range(100)]
    chain.node.kill()
    placed = [future.result(60) for future in futures] + [chain.place() for _ in range(20)]
    assert chain.depth() >= 20
    wait_until(lambda: "RabbitMQ cannot be reached" in chain.why(chain.order))
    chain.inventory.kill()
    seen = len(chain.inventory.log())
    chain.inventory.start()  # before there is a broker
    wait_until(lambda: "RabbitMQ cannot be reached" in chain.try_why(chain.inventory))
    assert "consumer: RabbitMQ cannot be reached" in chain.inventory.log()[seen:]
    chain.node.start()
    for order_id in placed:
        chain.becomes(order_id, "notified")
    wait_until(lambda: not any(chain.why(service) for service in chain.services))
    assert chain.depth() == 0


def test_while_rabbitmq_takes_no_messages_orders_are_accepted_and_services_stop_in_time(chain):
    with chain.node.alarm():
        placed = [chain.place() for _ in range(10)]
        wait_until(lambda: "RabbitMQ takes no messages" in chain.why(chain.order))
        placed.append(chain.place())
        assert chain.depth() >= 11
        chain.order.process.send_signal(signal.SIGTERM)
        assert chain.order.process.wait(10 + MARGIN) == 0
    chain.up()
    for order_id in placed:
        chain.becomes(order_id, "notified")


@contextlib.contextmanager
def overhearing(node: Node, key: str) -> Iterator[Callable[[int], list[bytes]]]:
    """Yield a function that waits for so many messages of a routing key, and returns all of them so far."""
    with node.channel() as channel:
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, "orders", key)
        heard: list[bytes] = []

        def hear(count: int) -> list[bytes]:
            def listen() -> bool:
                body = channel.basic_get(queue, auto_ack=True)[2]
                heard.extend([body] if body is not None else [])
                return len(heard) >= count

            wait_until(listen)
            return heard

        yield hear


def stock_of(chain: Chain) -> dict:
    return chain.inventory.call("GET", "/stock").json()["stock"]


def test_an_order_that_is_delivered_again_takes_nothing_and_the_same_event_is_told_again(chain):
    with overhearing(chain.node, "order.placed") as placed, overhearing(chain.node, "inventory.*") as told:
        order_id = chain.place()
        (body,) = placed(1)
        chain.becomes(order_id, "notified")
        before = stock_of(chain), chain.look(order_id)
        told(1)
        chain.node.put("order-placed", body)
        told(2)
        chain.inventory.kill()
        chain.up()
        for _ in range(3):
            chain.node.put("order-placed", body)
        assert len(set(told(5))) == 1
    assert (stock_of(chain), chain.look(order_id)) == before


def test_an_event_that_leads_nowhere_is_seen_and_delivered_when_there_is_a_way(chain):
    with chain.node.channel() as channel:
        channel.queue_unbind("order-placed", "orders", "order.placed")
    order_id = chain.place()
    wait_until(lambda: "NO_ROUTE for order.placed" in chain.why(chain.order))
    assert chain.depth() == 1
    assert chain.look(order_id)["status"] == "placed"
    with chain.node.channel() as channel:
        channel.queue_bind("order-placed", "orders", "order.placed")
    chain.becomes(order_id, "notified")
    wait_until(lambda: not chain.why(chain.order))


def test_queues_and_an_exchange_that_are_deleted_are_declared_again(chain):
    with chain.node.channel() as channel:
        for queue in ("order-placed", "inventory-reserved", "order-status"):
            channel.queue_delete(queue)
        channel.exchange_delete("orders")
    chain.becomes(chain.place(), "notified")


def test_poison_is_dead_lettered_with_its_reason_and_harms_no_order(chain):
    placed = []
    for poison in POISON:
        chain.node.put("order-placed", poison)
        placed.append(chain.place())
    letters = chain.node.take("order-placed.dlq", len(POISON))
    assert sorted(body for _, body in letters) == sorted(POISON)
    assert all(properties.headers["x-reason"] for properties, _ in letters)
    for order_id in placed:
        chain.becomes(order_id, "notified")


def test_a_message_of_odd_properties_harms_nobody(chain):
    odd: dict[str, Any] = {"message_id": b"\xff" * 255, "headers": {"x-history": [1, None], "deep": {"x": b"\xff"}}}
    chain.node.put("order-placed", b"{", **odd)
    ((properties, _),) = chain.node.take("order-placed.dlq")
    assert properties.headers["x-reason"].startswith("this is not JSON")
    chain.becomes(chain.place(), "notified")


@pytest.mark.parametrize("name", NAMES)
def test_sigterm_ends_a_service_in_time(chain, name):
    service = getattr(chain, name)
    placed = [chain.place() for _ in range(20)]
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(10 + MARGIN) == 0
    chain.up()
    for order_id in placed:
        chain.becomes(order_id, "notified")


def postgresql(stack: contextlib.ExitStack) -> Cluster:
    """Start a private PostgreSQL; fail without one, unless CAMPUS_WITHOUT_POSTGRES=1 says that this is known."""
    try:
        return stack.enter_context(private_cluster())
    except PostgresMissing as error:
        give_up = pytest.skip if os.environ.get("CAMPUS_WITHOUT_POSTGRES") == "1" else pytest.fail
        give_up(str(error))


def test_the_chain_on_postgresql(tmp_path, running, broker, background):
    running.down()
    with contextlib.ExitStack() as stack:
        cluster = postgresql(stack)
        databases = {name: stack.enter_context(cluster.database()) for name in NAMES}
        chain = Chain(tmp_path, broker, databases)
        stack.callback(chain.down)
        chain.up()
        keys = [f"k{n // 2}" for n in range(40)]  # each order is sent twice
        futures = [background.submit(chain.place, **{"Idempotency-Key": key}) for key in keys]
        placed = {future.result(60) for future in futures}
        assert len(placed) == 20
        chain.inventory.configure(crash_point="after_commit")
        placed |= {chain.place() for _ in range(5)}
        chain.order.kill()
        chain.up()
        chain.check()
        assert {chain.look(order_id)["status"] for order_id in placed} == {"notified"}
        assert stock_of(chain)["burger"]["reserved"] == 25
