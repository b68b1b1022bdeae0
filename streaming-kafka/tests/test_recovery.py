"""Services that die, sleep or are doubled, as real processes on a real broker: nothing is lost, nothing is doubled."""

import contextlib
import os
import signal
import sqlite3
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import psycopg
import pytest
import urllib3
from broker import topics
from campus.ids import new_order_id
from conftest import placed
from testing import Service, wait_until

PART = Path(__file__).resolve().parents[1]
GROUP = "inventory-consumer-group"
SESSION = {"SESSION_MS": "3000"}


class Inventory(Service):
    """One replica of the inventory service; replicas share a PostgreSQL, one alone has SQLite."""

    def __init__(self, node, folder: Path, replica: str = "inventory", url: str | None = None) -> None:
        self.database = url or f"sqlite:///{folder}/inventory.db"
        env = {"KAFKA_BOOTSTRAP": node.bootstrap, "DATABASE_URL": self.database, **SESSION}
        super().__init__(PART, replica, folder, package="inventory_consumer", **env)

    def signal(self, number: int) -> None:
        """Send a signal to its whole process group."""
        os.killpg(self.process.pid, number)

    def reserved(self, *orders: str) -> int:
        """Return how many of these orders have a reservation."""
        if self.database.startswith("sqlite"):
            connect = contextlib.closing(sqlite3.connect(self.database.removeprefix("sqlite:///")))
        else:
            connect = psycopg.connect(self.database)
        with connect as connection:
            known = {row[0] for row in connection.execute("SELECT order_id FROM reservations")}
        return len(known.intersection(orders))


@pytest.fixture
def inventory(node, tmp_path):
    """The service; it does not run yet, and begins at what is written from now on."""
    yield from begun(node, [Inventory(node, tmp_path)])


@pytest.fixture
def replicas(node, tmp_path, cluster):
    """Two replicas of the service on one PostgreSQL, as `inventory` is one."""
    with cluster.database() as url:
        yield from begun(node, [Inventory(node, tmp_path, name, url) for name in ("first", "second")])


def begun(node, services: list[Inventory]):
    node.start()
    node.evict(GROUP)
    node.skip(GROUP)
    yield services if len(services) > 1 else services[0]
    for service in services:
        if service.runs:
            service.signal(signal.SIGCONT)
        service.kill()
    node.evict(GROUP)


def verdicts(node, orders: list[str]) -> list[str]:
    """Return the ids of those orders of which a `read_committed` reader sees a verdict, one for each verdict."""
    wanted = set(orders)
    return sorted(key for record in node.read(topics.INVENTORY) if (key := record.key.decode()) in wanted)


def place(node, count: int) -> list[str]:
    """Write orders straight into the log and return their ids."""
    orders = [new_order_id() for _ in range(count)]
    node.put(topics.ORDERS, *(placed(order) for order in orders))
    return orders


def all_have_one(node, orders: list[str]) -> None:
    """Wait until every order has a verdict; none may have two."""
    wait_until(lambda: len(set(verdicts(node, orders))) == len(orders), 60)
    assert verdicts(node, orders) == sorted(orders)


@pytest.mark.promise("INV-1")
def test_killed_half_way_through_ten_thousand_orders(node, inventory):
    inventory.start()
    wait_until(inventory.ready)
    inventory.configure(paused=True)
    orders = place(node, 10_000)
    inventory.configure(paused=False)
    wait_until(lambda: inventory.reserved(*orders) >= 2000, 60)  # in its store: the log is read too slowly for this
    inventory.kill()
    assert 2000 <= inventory.reserved(*orders) < 10_000
    inventory.start()
    all_have_one(node, orders)
    assert inventory.reserved(*orders) == 10_000
    on_hand = inventory.call("GET", "/stock").json()["stock"]["burger"]
    assert (on_hand["reserved"], on_hand["on_hand"]) == (10_000, on_hand["initial"] - 10_000)


@pytest.mark.parametrize("point", ["before_commit", "after_commit", "after_publish"])
def test_a_crash_really_kills_the_process_and_it_goes_on(node, inventory, point):
    inventory.start()
    wait_until(inventory.ready)
    wait_until(lambda: node.members(GROUP))
    inventory.configure(crash_point=point)
    orders = place(node, 20)
    wait_until(lambda: "SIGKILL" in inventory.log())  # gunicorn says so of its worker
    wait_until(inventory.ready)
    assert inventory.call("GET", "/configure").json()["config"]["crash_point"] is None
    all_have_one(node, orders)
    assert inventory.reserved(*orders) == 20


def test_who_sleeps_longer_than_its_session_finds_its_work_done_and_doubles_nothing(node, replicas):
    zombie, other = replicas
    zombie.start()
    wait_until(zombie.ready)
    wait_until(lambda: list(node.members(GROUP).values()) == [6])
    (before,) = node.members(GROUP)
    zombie.configure(delay=1)
    orders = place(node, 12)
    wait_until(lambda: verdicts(node, orders))
    zombie.signal(signal.SIGSTOP)  # in the middle of a message
    other.start()
    wait_until(lambda: len(verdicts(node, orders)) == 12, 60)
    assert before not in node.members(GROUP)
    zombie.signal(signal.SIGCONT)
    wait_until(lambda: list(node.members(GROUP).values()) == [3, 3], 60)
    zombie.call("DELETE", "/configure")
    all_have_one(node, orders + place(node, 100))


def test_a_second_replica_joins_and_leaves_under_load(node, replicas):
    first, second = replicas
    first.start()
    wait_until(first.ready)
    orders = place(node, 2000)
    second.start()
    wait_until(lambda: list(node.members(GROUP).values()) == [3, 3], 60)
    orders += place(node, 2000)
    second.signal(signal.SIGTERM)
    all_have_one(node, orders + place(node, 100))
    assert first.reserved(*orders) == 4000


def test_a_killed_member_is_back_before_its_session_has_ended(node, inventory):
    """With a session that outlasts this test's waits: only its name lets it in."""
    inventory.start(SESSION_MS="300000")
    wait_until(inventory.ready)
    for _ in range(2):
        inventory.kill()
        orders = place(node, 3)
        inventory.start(SESSION_MS="300000")
        all_have_one(node, orders)
        wait_until(inventory.ready)
    assert len(node.members(GROUP)) == 1


def test_who_is_stopped_leaves_by_its_name(node, inventory):
    inventory.start(SESSION_MS="300000")
    wait_until(inventory.ready)
    assert len(node.members(GROUP)) == 1
    inventory.stop()
    assert node.members(GROUP) == {}


def test_a_second_one_with_a_stock_of_its_own_refuses(node, inventory, tmp_path):
    inventory.start()
    wait_until(inventory.ready)
    (tmp_path / "other").mkdir()
    second = Inventory(node, tmp_path / "other", "second")
    second.start()
    try:
        assert second.process.wait(60) == 3
        assert "stop one, or give both the same PostgreSQL as DATABASE_URL" in second.log()
        assert list(node.members(GROUP).values()) == [6]
        all_have_one(node, place(node, 20))
        assert inventory.ready()
    finally:
        second.kill()


@pytest.fixture
def order(node, tmp_path):
    """An order service, and an inventory service behind it."""
    node.start()
    for group in (GROUP, "order-status-group"):
        node.evict(group)
        node.skip(group)
    inventory = Inventory(node, tmp_path)
    service = Service(PART, "order", tmp_path, package="producer_order", KAFKA_BOOTSTRAP=node.bootstrap, **SESSION)
    service.inventory = inventory
    service.start()
    inventory.start()
    wait_until(service.ready)
    wait_until(inventory.ready)
    yield service
    service.kill()
    inventory.kill()
    node.evict(GROUP)
    node.evict("order-status-group")


BODY = {"item": "burger", "qty": 1, "user_id": "u1"}


@pytest.mark.parametrize("point", ["before_commit", "after_commit", "after_publish"])
def test_an_order_service_that_crashes_tells_an_order_or_forgets_it(node, order, point):
    order.configure(crash_point=point)
    with pytest.raises(urllib3.exceptions.HTTPError):
        order.call("POST", "/order", BODY)
    wait_until(order.ready)
    orders = [row["order_id"] for row in order.call("GET", "/orders").json()["orders"]]
    assert len(orders) == (0 if point == "before_commit" else 1)
    orders.append(order.call("POST", "/order", BODY).json()["order_id"])

    def settled() -> bool:
        return all(order.call("GET", f"/orders/{o}").json()["status"] == "reserved" for o in orders)

    wait_until(settled, 60)
    assert len(node.read(topics.ORDERS, *orders)) >= len(orders)
    assert verdicts(node, orders) == sorted(orders)


@pytest.mark.promise("c-accepted")
def test_a_broker_that_is_killed_under_traffic_loses_nothing_that_was_acknowledged(node, order):
    accepted, refused, unknown = [], [], []

    def place_one(_: int) -> None:
        answer = order.call("POST", "/order", BODY)
        {202: accepted, 504: unknown}.get(answer.status, refused).append(answer.json().get("order_id"))

    with ThreadPoolExecutor(4) as pool:
        traffic = pool.map(place_one, range(300))
        wait_until(lambda: len(accepted) > 50)
        node.kill()
        wait_until(lambda: refused or unknown)
        node.start()
        list(traffic)
    wait_until(lambda: order.call("POST", "/order", BODY).status == 202, 60)
    wait_until(lambda: set(verdicts(node, accepted)) == set(accepted), 60)
    rows = order.call("GET", "/orders?limit=1000").json()["orders"]
    assert {row["order_id"] for row in rows} >= {*accepted, *unknown}
    assert verdicts(node, accepted) == sorted(accepted)


@pytest.mark.parametrize("fault", ["frozen", pytest.param("killed", marks=pytest.mark.long)])
def test_what_is_answered_under_a_key_at_once_is_true_while_kafka_is_away(node, order, fault):
    answers: list[tuple[str, int, str]] = []

    def ask(n: int) -> None:
        key = f"{fault}-{n % 8}"
        answer = order.call("POST", "/order", BODY, **{"Idempotency-Key": key})
        answers.append((key, answer.status, answer.json()["order_id"]))

    def orders(status: int) -> set[str]:
        return {order_id for _, answered, order_id in answers if answered == status}

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(ask, range(8)))
        node.signal(signal.SIGSTOP) if fault == "frozen" else node.kill()
        list(pool.map(ask, range(8)))  # known keys: what was accepted stays accepted
        fault = f"{fault}-again"
        list(pool.map(lambda n: ask(n // 4), range(32)))  # new keys, each by four at once
        node.start()
    wait_until(lambda: order.call("POST", "/order", BODY).status == 202, 60)
    assert {status for _, status, _ in answers} <= {202, 409, 503, 504}
    assert orders(202)
    for key in {key for key, _, _ in answers}:
        assert len({order_id for asked, status, order_id in answers if (asked, status) == (key, 202)}) <= 1
    wait_until(lambda: not pending(order), 60)
    in_log = {record.key.decode() for record in node.read(topics.ORDERS) if record.key}  # others' records may have none
    assert orders(202) | orders(504) <= in_log
    assert not orders(503) & in_log
    for order_id in orders(202) | orders(504):
        assert order.call("GET", f"/orders/{order_id}").status == 200


def pending(order: Service) -> int:
    """Return for how many orders a step is pending."""
    with sqlite3.connect(order.folder / "order.db") as connection:
        (count,) = connection.execute("SELECT count(*) FROM orders WHERE pending IS NOT NULL").fetchone()
    return count
