"""The services as real processes and a real broker: what becomes of orders when one of them fails."""

import contextlib
from collections import Counter
from pathlib import Path

import pytest
import urllib3
from broker import topics
from kafka import TopicPartition
from node import Node
from testing import Service, wait_until
from testing.invalid_events import INVALID_EVENTS
from testing.services import Services

PART = Path(__file__).resolve().parents[1]
PACKAGES = {"order": "producer_order", "inventory": "inventory_consumer", "notification": "notification_consumer"}


class Chain(Services):
    """The services on one broker, and what a client does with them."""

    def __init__(self, folder: Path, node, databases: dict[str, str] | None = None, **env: str) -> None:
        self.node = node
        env = {"KAFKA_BOOTSTRAP": node.bootstrap, "SESSION_MS": "3000"} | env
        databases = {name: {"DATABASE_URL": url} for name, url in (databases or {}).items()}
        self.order, self.inventory, self.notification = self.services = tuple(
            Service(PART, name, folder, package=package, **env, **databases.get(name, {}))
            for name, package in PACKAGES.items()
        )

    def up(self) -> None:
        """Start what does not run, Kafka too, and take every fault away."""
        self.node.start()
        super().up()

    def place(self, sku: str = "burger") -> str:
        """Place an order, which must be accepted, and return its id."""
        response = self.order.call("POST", "/order", {"item": sku, "qty": 1, "user_id": "u1"})
        assert response.status == 202, response.data
        return response.json()["order_id"]

    def verdicts(self, *order_ids: str) -> list[str]:
        """Return the ids of the orders of which a `read_committed` reader sees a verdict, one for each verdict."""
        keys = (record.key.decode() for record in self.node.read(topics.INVENTORY))
        return sorted(key for key in keys if key in order_ids)


@pytest.fixture(scope="module")
def processes(tmp_path_factory, node):
    made = Chain(tmp_path_factory.mktemp("chain"), node)
    yield made
    made.down()


@pytest.fixture
def chain(processes):
    processes.up()
    return processes


def test_an_order_is_reserved_and_notified(chain):
    order_id = chain.place()
    story = [step["status"] for step in chain.becomes(order_id, "notified")["timeline"]]
    assert story == ["placed", "reserved", "notified"]


def test_an_unknown_item_fails_the_order(chain):
    assert chain.becomes(chain.place("nosuch"), "failed")["reason"] == "unknown_sku"


@pytest.mark.promise("INV-6")
@pytest.mark.parametrize("name", ["inventory", "notification"])
@pytest.mark.parametrize("point", ["before_commit", "after_commit", "after_publish"])
def test_a_consumer_that_crashes_does_its_work_once(chain, name, point):
    service = getattr(chain, name)
    killed = service.log().count("SIGKILL")  # gunicorn says so of its worker
    service.configure(crash_point=point)
    orders = [chain.place() for _ in range(5)]
    for order_id in orders:
        chain.becomes(order_id, "notified")
    assert service.log().count("SIGKILL") == killed + 1
    assert chain.verdicts(*orders) == sorted(orders)


def test_a_killed_consumer_does_its_work_once(chain):
    orders = [chain.place() for _ in range(100)]
    chain.inventory.kill()
    orders += [chain.place() for _ in range(100)]
    chain.up()
    for order_id in orders:
        chain.becomes(order_id, "notified")
    assert chain.verdicts(*orders) == sorted(orders)


@pytest.mark.promise("c-down")
def test_without_kafka_orders_are_refused_and_afterwards_accepted_again(chain):
    before = chain.place()
    chain.node.kill()
    refused = wait_until(
        lambda: (r := chain.order.call("POST", "/order", {"item": "burger", "qty": 1})).status == 503 and r
    )
    assert refused.headers["Retry-After"] == "2"
    chain.up()
    chain.becomes(before, "notified")
    chain.becomes(chain.place(), "notified")


@pytest.mark.promise("INV-4")
def test_poison_is_dead_lettered_with_its_reason_and_harms_nobody(chain):
    first = chain.place()
    offsets = chain.node.put(topics.ORDERS, *INVALID_EVENTS, partition=0)
    last = chain.place()
    for order_id in (first, last):
        chain.becomes(order_id, "notified")
    origins = {f"{topics.ORDERS}/0/{offset}".encode() for offset in offsets}

    def groups() -> Counter[bytes]:
        """Count these dead letters by group; other tests wrote what these groups may still be reading."""
        headers = [dict(record.headers) for record in chain.node.read(topics.DEAD_LETTERS)]
        return Counter(each["x-group"] for each in headers if each["x-origin"] in origins)

    once_each = dict.fromkeys((b"inventory-consumer-group", b"order-status-group"), len(INVALID_EVENTS))
    wait_until(lambda: groups().total() >= sum(once_each.values()))
    assert groups() == once_each


def test_a_failure_is_tried_again_until_it_is_mended(chain):
    chain.inventory.configure(failure_rate=1.0)
    order_id = chain.place()
    wait_until(lambda: "trying again" in chain.inventory.log())
    chain.inventory.call("DELETE", "/configure")
    chain.becomes(order_id, "notified")


def test_a_service_that_starts_before_kafka_waits_and_says_so(chain):
    chain.down()
    chain.node.kill()
    chain.inventory.start()

    def waits() -> bool:
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            answer = chain.inventory.call("GET", "/ready")
            return answer.status == 503 and "Kafka" in answer.json()["checks"][topics.ORDERS]
        return False

    wait_until(waits)
    chain.up()
    chain.becomes(chain.place(), "notified")


@pytest.mark.long
@pytest.mark.timeout(300)
def test_partitions_that_are_added_under_load_are_written_and_read(tmp_path):
    """Nobody is started anew: every client learns of them within 10 s."""
    node = Node(tmp_path)
    own = Chain(tmp_path, node)
    try:
        own.up()
        orders = [own.place() for _ in range(20)]
        with node.admin() as admin:
            admin.create_partitions(dict.fromkeys((topics.ORDERS, topics.INVENTORY, topics.NOTIFICATIONS), 12))

        def written() -> bool:
            orders.append(own.place())
            return any(node.end(TopicPartition(topics.ORDERS, added)) for added in range(6, 12))

        wait_until(written, 60)
        orders += [own.place() for _ in range(20)]
        for order_id in orders:
            own.becomes(order_id, "notified")
        assert [service.ready() for service in own.services] == [True] * 3
    finally:
        own.down()
        node.kill()
