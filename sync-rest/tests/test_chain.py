"""The three services as real processes: what a client sees, and what is left, when one of them fails."""

import contextlib
import json
import signal
import socket
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import urllib3
from testing import MARGIN, Service, wait_until
from testing.services import Services

PART = Path(__file__).resolve().parents[1]


class Chain(Services):
    """The three services, and what a client does with them."""

    def __init__(self, folder: Path, databases: dict[str, str] | None = None) -> None:
        env = {name: {"DATABASE_URL": url} for name, url in (databases or {}).items()}
        self.inventory = Service(PART, "inventory", folder, **env.get("inventory", {}))
        self.notification = Service(PART, "notification", folder, **env.get("notification", {}))
        services = {"INVENTORY_URL": self.inventory.url, "NOTIFICATION_URL": self.notification.url}
        self.order = Service(PART, "order", folder, **services, **env.get("order", {}))
        self.services = (self.inventory, self.notification, self.order)

    def place(self, **headers: str) -> urllib3.BaseHTTPResponse:
        return self.order.call("POST", "/order", {"item": "burger", "qty": 1, "user_id": "u1"}, **headers)

    def holds(self, order_id: str) -> str:
        """Return what inventory holds for the order: reserved, released, failed or nothing."""
        return self.inventory.call("GET", f"/reservations/{order_id}").json()["status"]

    def notifications(self, order_id: str) -> int:
        reply = self.notification.call("GET", f"/notifications?order_id={order_id}")
        return len(reply.json()["notifications"])

    def in_flight(self) -> str:
        """Wait until some order is being worked on and return its id."""
        return wait_until(lambda: self.order.call("GET", "/orders?status=placed").json()["orders"])[0]["order_id"]

    def is_balanced(self) -> bool:
        """Whether stock agrees with the reservations that are held."""
        held, after = 0, ""
        while after is not None:
            page = self.inventory.call("GET", f"/reservations?after={after}").json()
            held += sum(row["status"] == "reserved" for row in page["reservations"])
            after = page["next"]
        burger = self.inventory.call("GET", "/stock").json()["stock"]["burger"]
        return burger["reserved"] == held and burger["initial"] == burger["on_hand"] + held


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Chain]:
    chain = Chain(tmp_path_factory.mktemp("chain"))
    try:
        yield chain
    finally:
        chain.down()


@pytest.fixture
def chain(running) -> Iterator[Chain]:
    """The chain, all up and without faults; at the end its stock must agree with its reservations."""
    running.up()
    yield running
    running.up()
    wait_until(running.is_balanced)


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def problem(response: urllib3.BaseHTTPResponse) -> dict:
    assert response.headers["Content-Type"] == "application/problem+json"
    body = response.json()
    assert body["request_id"] == response.headers["X-Request-ID"]
    return body


def test_an_order_goes_through(chain):
    response = chain.place(**{"X-Request-ID": "r1"})
    order = response.json()
    assert (response.status, response.headers["X-Request-ID"]) == (201, "r1")
    assert [step["status"] for step in order["timeline"]] == ["placed", "reserved", "notified"]
    assert chain.holds(order["order_id"]) == "reserved"
    assert chain.notifications(order["order_id"]) == 1
    for service in chain.services:
        assert '"request_id":"r1"' in service.log()


def late_verdict(chain: Chain, order_id: str) -> dict:
    """Return the log line of inventory's answer to the order's reservation, or nothing."""
    lines = chain.inventory.log().splitlines()
    found = [line for line in lines if order_id in line and '"path":"/reserve"' in line]
    return json.loads(found[0]) if found else {}


def test_a_delay_longer_than_the_timeout_is_504_in_time_and_nothing_stays_reserved(chain):
    chain.order.configure(timeout=1)
    chain.inventory.configure(delay=3)
    began = time.monotonic()
    response = chain.place()
    assert 1 <= time.monotonic() - began < 1 + MARGIN
    assert response.status == 504
    order_id = problem(response)["order_id"]
    assert chain.look(order_id)["status"] in ("unknown", "failed")
    chain.inventory.call("DELETE", "/configure")
    final = chain.becomes(order_id, "failed")
    assert final["reason"] == "inventory_timeout"
    assert chain.holds(order_id) == "released"
    # The request itself is still asleep in inventory; when it wakes up it must find the door closed.
    wait_until(lambda: "order_id" in late_verdict(chain, order_id))
    assert late_verdict(chain, order_id)["status"] == 409
    assert chain.holds(order_id) == "released"
    assert chain.notifications(order_id) == 0


@pytest.mark.promise("INV-1")
def test_inventory_crashing_after_its_commit_leaves_an_order_that_is_completed(chain):
    chain.inventory.configure(crash_point="after_commit")
    response = chain.place()
    assert response.status == 504
    order_id = problem(response)["order_id"]
    final = chain.becomes(order_id, "notified")
    assert [step["status"] for step in final["timeline"]] == ["placed", "unknown", "reserved", "notified"]
    assert (chain.holds(order_id), chain.notifications(order_id)) == ("reserved", 1)
    assert chain.place().status == 201  # it crashes once


def test_inventory_crashing_before_its_commit_leaves_an_order_that_fails(chain):
    chain.inventory.configure(crash_point="before_commit")
    response = chain.place()
    assert response.status == 504
    order_id = problem(response)["order_id"]
    chain.becomes(order_id, "failed")
    assert (chain.holds(order_id), chain.notifications(order_id)) == ("released", 0)


@pytest.mark.promise("INV-6")
def test_notification_crashing_after_its_commit_notifies_once(chain):
    chain.notification.configure(crash_point="after_commit")
    response = chain.place()
    assert (response.status, response.json()["notification"]) == (201, "pending")
    order_id = response.json()["order_id"]
    chain.becomes(order_id, "notified")
    assert chain.notifications(order_id) == 1


@pytest.mark.promise("INV-7")
def test_the_order_service_killed_while_inventory_works_resolves_the_order_when_it_is_back(chain, background):
    chain.inventory.configure(delay=2)
    lost = background.submit(chain.place)
    order_id = chain.in_flight()
    chain.order.kill()
    with pytest.raises(urllib3.exceptions.HTTPError):
        lost.result(30)
    chain.inventory.call("DELETE", "/configure")
    chain.up()
    status = wait_until(lambda: (s := chain.look(order_id)["status"]) in ("notified", "failed") and s)
    reserved = chain.holds(order_id) == "reserved"
    assert status == ("notified" if reserved else "failed")
    assert chain.notifications(order_id) == reserved


def test_the_order_service_killed_while_notifying_notifies_when_it_is_back(chain, background):
    chain.notification.configure(delay=20)
    lost = background.submit(chain.place)
    order_id = chain.in_flight()
    wait_until(lambda: chain.holds(order_id) == "reserved")
    chain.order.kill()
    with pytest.raises(urllib3.exceptions.HTTPError):
        lost.result(30)
    chain.notification.kill()
    chain.up()
    chain.becomes(order_id, "notified")
    assert (chain.holds(order_id), chain.notifications(order_id)) == ("reserved", 1)


@pytest.mark.parametrize("point", ["before_commit", "after_commit"])
def test_the_order_service_crashing_itself(chain, point):
    before = chain.order.call("GET", "/orders?limit=1000").json()["orders"]
    chain.order.configure(crash_point=point)
    with pytest.raises(urllib3.exceptions.HTTPError):
        chain.place()
    wait_until(chain.order.ready)  # its worker is replaced
    after = chain.order.call("GET", "/orders?limit=1000").json()["orders"]
    new = [order["order_id"] for order in after[len(before) :]]
    assert len(new) == (point == "after_commit")
    for order_id in new:
        assert chain.becomes(order_id, "failed")["reason"] == "interrupted"
        assert chain.notifications(order_id) == 0


@pytest.mark.promise("INV-7")
@pytest.mark.parametrize("mode", ["drop", "hang"])
def test_no_answer_from_inventory_is_504_and_the_order_fails(chain, mode):
    chain.order.configure(timeout=1)
    chain.inventory.configure(failure_rate=1, failure_mode=mode)
    began = time.monotonic()
    response = chain.place()
    assert time.monotonic() - began < 1 + MARGIN
    assert response.status == 504
    chain.inventory.call("DELETE", "/configure")
    order_id = problem(response)["order_id"]
    chain.becomes(order_id, "failed")
    assert chain.holds(order_id) == "released"


def test_no_answer_from_the_order_service_itself(chain):
    chain.order.configure(failure_rate=1, failure_mode="drop")
    with pytest.raises(urllib3.exceptions.HTTPError):
        chain.place()
    assert chain.order.call("GET", "/health").status == 200


def raw(path: str, body: dict) -> bytes:
    """Return a POST as it goes over the wire."""
    data = json.dumps(body)
    head = (f"POST {path} HTTP/1.1", "Host: x", "Content-Type: application/json", f"Content-Length: {len(data)}")
    return "\r\n".join([*head, "", data]).encode()


def wait_until_begun(service: Service) -> None:
    """Wait until the requests sent so far have begun: threads take them in the order in which they come."""
    for _ in range(3):
        assert service.call("GET", "/health", Connection="close").status == 200


def test_hanging_requests_free_their_threads_when_their_callers_leave(chain):
    chain.inventory.configure(failure_rate=1, failure_mode="hang")
    for _ in range(3):  # three times 12 is more than there are threads
        with contextlib.ExitStack() as callers:
            for _ in range(12):
                caller = callers.enter_context(socket.create_connection(("127.0.0.1", chain.inventory.port)))
                caller.sendall(raw(*WORK["inventory"][:2]))
            wait_until_begun(chain.inventory)
    chain.inventory.call("DELETE", "/configure")
    assert chain.place().status == 201


@pytest.mark.promise("a-down")
def test_an_error_of_inventory_is_502_and_the_order_fails(chain):
    chain.inventory.configure(failure_rate=1)
    response = chain.place()
    assert response.status == 502
    chain.inventory.call("DELETE", "/configure")
    order_id = problem(response)["order_id"]
    chain.becomes(order_id, "failed")
    assert chain.holds(order_id) == "released"


@pytest.mark.promise("a-down")
def test_a_dead_inventory_is_503_at_once_and_leaves_the_order_service_well(chain):
    chain.place()  # so that there are connections to break
    chain.inventory.kill()
    began = time.monotonic()
    response = chain.place()
    assert time.monotonic() - began < MARGIN  # the timeout is 5 s
    assert response.status == 503
    assert int(response.headers["Retry-After"]) > 0
    assert chain.look(problem(response)["order_id"])["status"] == "failed"
    assert chain.order.call("GET", "/ready").status == 200
    chain.up()
    assert chain.place().status == 201


@pytest.mark.promise("a-down")
def test_a_dead_notification_service_is_201_and_the_student_is_told_later(chain):
    chain.notification.kill()
    responses = [chain.place() for _ in range(3)]
    assert [(r.status, r.json()["notification"]) for r in responses] == [(201, "pending")] * 3
    chain.up()
    for response in responses:
        order_id = response.json()["order_id"]
        chain.becomes(order_id, "notified")
        assert chain.notifications(order_id) == 1


WORK = {
    "order": ("/order", {"item": "burger", "qty": 1}, 201),
    "inventory": ("/reserve", {"order_id": "at-sigterm", "items": [{"sku": "burger", "qty": 1}]}, 200),
    "notification": ("/send", {"order_id": "at-sigterm", "user_id": "u1"}, 200),
}


@pytest.mark.parametrize("name", WORK)
def test_sigterm_lets_a_request_in_flight_finish(chain, name):
    service = getattr(chain, name)
    path, body, status = WORK[name]
    service.configure(delay=1.5)
    with socket.create_connection(("127.0.0.1", service.port)) as caller, caller.makefile("rb") as answer:
        caller.sendall(raw(path, body))
        wait_until_begun(service)
        began = time.monotonic()
        service.process.send_signal(signal.SIGTERM)
        assert answer.readline() == f"HTTP/1.1 {status} {'CREATED' if status == 201 else 'OK'}\r\n".encode()
    assert service.process.wait(10) == 0
    assert time.monotonic() - began < 10
    with pytest.raises(urllib3.exceptions.HTTPError):
        service.call("GET", "/health")


def test_sigterm_does_not_wait_for_a_request_that_hangs(chain):
    chain.inventory.configure(failure_rate=1, failure_mode="hang")
    with socket.create_connection(("127.0.0.1", chain.inventory.port)) as caller:
        caller.sendall(raw(*WORK["inventory"][:2]))
        wait_until_begun(chain.inventory)
        chain.inventory.process.send_signal(signal.SIGTERM)
        chain.inventory.process.wait(10 + MARGIN)


def test_proxies_in_the_environment_are_ignored(chain):
    chain.order.kill()
    nowhere = dict.fromkeys(("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"), "http://127.0.0.1:9")
    chain.order.start(**nowhere, NO_PROXY="", no_proxy="")
    wait_until(chain.order.ready)
    assert chain.place().status == 201
    chain.order.kill()


@pytest.mark.promise("INV-2")
def test_identical_requests_with_one_key_make_one_order(chain, background):
    chain.inventory.configure(delay=0.3)
    start = threading.Barrier(8)

    def place() -> urllib3.BaseHTTPResponse:
        start.wait()
        return chain.place(**{"Idempotency-Key": "one"})

    responses = [future.result(30) for future in [background.submit(place) for _ in range(8)]]
    assert {response.status for response in responses} <= {201, 504}  # 504: still being worked on, look again
    assert 201 in [response.status for response in responses]
    (where,) = {response.headers["Location"] for response in responses}
    order_id = where.removeprefix("/orders/")
    assert chain.place(**{"Idempotency-Key": "one"}).json()["order_id"] == order_id
    assert (chain.holds(order_id), chain.notifications(order_id)) == ("reserved", 1)


def test_a_retry_after_a_504_gets_the_same_order(chain):
    chain.inventory.configure(crash_point="after_commit")
    first = chain.place(**{"Idempotency-Key": "retry"})
    assert first.status == 504
    chain.becomes(problem(first)["order_id"], "notified")
    second = chain.place(**{"Idempotency-Key": "retry"})
    assert (second.status, second.json()["order_id"]) == (201, problem(first)["order_id"])


def test_many_orders_at_once_all_go_through(chain, background):
    statuses = [future.result(60).status for future in [background.submit(chain.place) for _ in range(80)]]
    assert statuses == [201] * 80


def test_a_body_of_unknown_length_is_limited_too(chain):
    with socket.create_connection(("127.0.0.1", chain.order.port)) as caller, caller.makefile("rb") as answer:
        caller.sendall(
            b"POST /order HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
        )
        with contextlib.suppress(OSError):  # it may hang up on us before all is sent
            for _ in range(9):
                caller.sendall(b"2000\r\n" + b" " * 0x2000 + b"\r\n")
            caller.sendall(b"0\r\n\r\n")
        assert answer.readline().split()[1] == b"413"


def test_the_chain_on_postgresql(tmp_path, background, cluster):
    with contextlib.ExitStack() as stack:
        databases = {name: stack.enter_context(cluster.database()) for name in ("order", "inventory", "notification")}
        chain = Chain(tmp_path, databases)
        stack.callback(chain.down)
        chain.up()
        keys = [f"k{n // 2}" for n in range(40)]  # each order is sent twice
        futures = [background.submit(chain.place, **{"Idempotency-Key": key}) for key in keys]
        where = {future.result(60).headers["Location"] for future in futures}
        assert len(where) == 20
        for path in where:
            chain.becomes(path.removeprefix("/orders/"), "notified")
        chain.inventory.configure(crash_point="after_commit")
        lost = problem(chain.place())["order_id"]
        chain.order.kill()
        chain.up()
        chain.becomes(lost, "notified")
        assert chain.inventory.call("GET", "/stock").json()["stock"]["burger"]["reserved"] == 21
        assert chain.is_balanced()
