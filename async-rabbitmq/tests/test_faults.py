"""Every fault on every service of Part B. Sleeping, time, death and the broker are fakes."""

import json
import select
import socket

import pytest
from campus.events import INVENTORY_RESERVED, ORDER_PLACED, new_event
from conftest import Served
from testing.fakes import ProcessKilled

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
    ({"delay": "1"}, "delay"),
    ({"jitter": -1}, "jitter"),
    ({"failure_rate": 1.01}, "failure_rate"),
    ({"failure_mode": "explode"}, "failure_mode"),
    ({"crash_point": "sometime"}, "crash_point"),
    ({"paused": 1}, "paused"),
    ({"throttle": 61}, "throttle"),
    ({"throttle": True}, "throttle"),
    ({"seed": 1.5}, "seed"),
    ({"expires_in": 3601}, "expires_in"),
    ({"delay": 1, "throttle": -1}, "throttle"),
    ([], "(body)"),
]
EVENTS = {"inventory": ORDER_PLACED, "notification": INVENTORY_RESERVED}
DONE = {"inventory": "/reservations", "notification": "/notifications", "order": "/orders"}


@pytest.fixture(params=["order", "inventory", "notification"])
def service(request, make) -> Served:
    """Each of the three services in turn."""
    return make(request.param)


@pytest.fixture(params=sorted(EVENTS))
def consuming(request, make) -> Served:
    """Each of the two services whose only work is that of a consumer."""
    return make(request.param)


@pytest.fixture
def orders(make) -> Served:
    return make("order")


def work(service: Served, *names: str):
    """Give the service one good message, or request, for each of these orders."""
    if service.name == "order":
        return [service.client.post("/order", json={"item": "burger", "qty": 1}) for _ in names]
    data = {"user_id": "u1", "items": [{"sku": "burger", "qty": 1}]}
    service.take(*(new_event(EVENTS[service.name], name, data) for name in names))
    return []


def done(service: Served) -> list[str]:
    return sorted(row["order_id"] for row in service.listed(DONE[service.name]))


def test_without_faults_it_works(service, clock):
    assert service.client.get("/configure").json == {"status": "configured", "config": NO_FAULT}
    work(service, "o1")
    assert len(done(service)) == 1
    assert clock.slept == []


def test_configure_merges_and_reset_is_idempotent(service):
    service.configure(delay=1)
    response = service.configure(failure_rate=0.5, paused=True)
    config = NO_FAULT | {"delay": 1.0, "failure_rate": 0.5, "paused": True}
    assert response.json == {"status": "configured", "config": config}
    assert service.client.get("/configure").json == response.json
    for _ in range(2):
        assert service.client.delete("/configure").json == {"status": "configured", "config": NO_FAULT}


@pytest.mark.parametrize(("patch", "field"), BAD, ids=[json.dumps(patch) for patch, _ in BAD])
def test_bad_faults_are_refused_and_change_nothing(service, problem, patch, field):
    service.configure(delay=0.5, seed=3)
    before = service.memory()
    response = service.client.post("/configure", json=patch)
    assert response.status_code == 400
    assert field in [error["field"] for error in problem(response)["errors"]]
    assert service.memory() == before


def test_delay(service, clock):
    service.configure(delay=2)
    work(service, "o1")
    assert clock.slept == [2.0]
    assert len(done(service)) == 1


def test_jitter(service, clock):
    service.configure(delay=1, jitter=0.5, seed=1)
    for n in range(10):
        work(service, f"o{n}")
    assert all(0.5 <= seconds <= 1.5 for seconds in clock.slept)
    assert len(set(clock.slept)) == 10


def test_looking_is_never_delayed_or_failed(service, clock):
    service.configure(delay=2, failure_rate=1, paused=True)
    for path in (DONE[service.name], "/health", "/configure", "/metrics"):
        assert service.client.get(path).status_code == 200
    assert clock.slept == []


def test_a_seed_repeats_which_messages_fail(consuming):
    names = [f"o{n:02}" for n in range(30)]
    runs = []
    for part in (names[:15], names[15:]):
        consuming.configure(failure_rate=0.5, seed=7)
        before = done(consuming)
        work(consuming, *part)
        runs.append([int(name[1:]) % 15 for name in done(consuming) if name not in before])
    assert runs[0] == runs[1]
    assert 0 < len(runs[0]) < 15


def test_a_message_that_fails_waits_in_a_waiting_room_and_does_nothing(consuming):
    consuming.configure(failure_rate=1, failure_mode="error")
    work(consuming, "o1")
    assert done(consuming) == []
    assert consuming.publisher.keys == [f"{consuming.consumer.queue}.retry-1s"]
    assert consuming.consumer.acked == [1]


def test_a_message_that_inventory_rejects_is_told_as_failed(make):
    inventory = make("inventory")
    inventory.configure(failure_rate=1, failure_mode="reject")
    work(inventory, "o1")
    (published,) = inventory.events()
    assert (published.event_type, published.data) == ("InventoryFailed", {"reason": "injected"})
    assert inventory.client.get("/stock").json["stock"]["burger"]["reserved"] == 0


def test_a_hanging_message_is_held_until_the_fault_is_gone(consuming):
    consuming.configure(failure_rate=1, failure_mode="hang")
    work(consuming, "o1")
    work(consuming, "o2")
    assert (done(consuming), consuming.consumer.acked) == ([], [])
    consuming.client.delete("/configure")
    work(consuming)
    assert done(consuming) == ["o1", "o2"]
    assert consuming.consumer.acked == [1, 2]


def test_a_dropped_message_closes_the_connection_and_does_nothing(consuming):
    consuming.configure(failure_rate=1, failure_mode="drop")
    work(consuming, "o1")
    assert consuming.consumer.drops == 1
    assert (done(consuming), consuming.consumer.acked) == ([], [])


@pytest.mark.parametrize(
    ("point", "journal", "left"),
    [("before_commit", [], []), ("after_commit", ["commit"], ["o1"]), ("after_publish", ["commit", "publish"], ["o1"])],
)
def test_crash_points(consuming, make, point, journal, left):
    consuming.configure(crash_point=point)
    with pytest.raises(ProcessKilled):
        work(consuming, "o1")
    assert consuming.journal == journal
    again = make(consuming.name)
    assert done(again) == left
    assert again.client.get("/configure").json["config"] == NO_FAULT


def test_a_paused_consumer_leaves_messages_where_they_are(service):
    service.configure(paused=True)
    service.take(b"poison")
    assert len(service.consumer.waiting) == 1
    service.client.delete("/configure")
    service.take()
    assert service.consumer.acked == [1]


def test_a_throttled_consumer_rests_after_each_message(service, clock):
    service.configure(throttle=3)
    service.take(b"poison", b"more poison")
    assert (service.consumer.acked, clock.slept) == ([1], [3.0])
    service.take()
    assert (service.consumer.acked, clock.slept) == ([1, 2], [3.0, 3.0])


def test_everything_expires(service, clock):
    service.configure(failure_rate=1, delay=1, expires_in=10)
    clock.now += 5
    assert service.client.get("/configure").json["config"]["expires_in"] == 5.0
    work(service, "o1")
    clock.now += 5
    assert service.client.get("/configure").json["config"] == NO_FAULT
    work(service, "o2")
    assert len(done(service)) == 1


def test_an_error_of_the_order_service_is_500_and_does_nothing(orders, problem):
    orders.configure(failure_rate=1)
    (response,) = work(orders, "o1")
    assert (response.status_code, problem(response)["type"]) == (500, "urn:campus:problem:injected-failure")
    assert done(orders) == []


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
    assert done(orders) == []


def test_the_order_service_crashes_after_publishing(orders, make):
    work(orders, "o1")
    orders.configure(crash_point="after_publish")
    with pytest.raises(ProcessKilled):
        orders.relay()
    again = make("order")
    again.relay()
    assert orders.events() == again.events() != []


@pytest.mark.parametrize("name", sorted(DONE))
def test_a_token_guards_configure_and_nothing_else(make, monkeypatch, name):
    monkeypatch.setenv("CONFIGURE_TOKEN", "secret")
    service = make(name)
    assert service.configure(delay=1).status_code == 401
    work(service, "o1")
    assert len(done(service)) == 1
    right = {"Authorization": "Bearer secret"}
    assert service.client.post("/configure", json={"delay": 1}, headers=right).json["config"]["delay"] == 1.0
