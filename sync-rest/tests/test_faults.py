"""Every fault on every service, as its callers see it. Sleeping, time and death are fakes."""

import select
import socket

import pytest
from testing.fakes import ProcessKilled

NO_FAULT = {
    "delay": 0.0,
    "jitter": 0.0,
    "failure_rate": 0.0,
    "failure_mode": "error",
    "crash_point": None,
    "seed": None,
    "expires_in": None,
}


def no_fault(service) -> dict:
    return NO_FAULT | ({"timeout": 5.0} if service.name == "order" else {})


def statuses(service, count: int) -> list[int]:
    return [service.work(f"o{n}").status_code for n in range(count)]


def remembered(service) -> bool:
    """Whether the service remembers any work."""
    return any(service.client.get(service.remembered[0]).json[name] for name in [service.remembered[0][1:]])


def test_without_faults_it_works(service, clock):
    assert service.client.get("/configure").json == {"status": "configured", "config": no_fault(service)}
    assert service.work().status_code == service.done
    assert clock.slept == []


def test_configure_merges_and_reset_is_idempotent(service):
    service.configure(delay=1)
    response = service.configure(failure_rate=0.5, failure_mode="drop")
    config = no_fault(service) | {"delay": 1.0, "failure_rate": 0.5, "failure_mode": "drop"}
    assert response.json == {"status": "configured", "config": config}
    assert service.client.get("/configure").json == response.json
    for _ in range(2):
        assert service.client.delete("/configure").json == {"status": "configured", "config": no_fault(service)}


def test_delay(service, clock):
    service.configure(delay=2)
    assert service.work().status_code == service.done
    assert clock.slept == [2.0]


def test_jitter(service, clock):
    service.configure(delay=1, jitter=0.5, seed=1)
    statuses(service, 20)
    assert all(0.5 <= seconds <= 1.5 for seconds in clock.slept)
    assert len(set(clock.slept)) == 20


def test_looking_is_never_delayed_or_failed(service, clock):
    service.configure(delay=2, failure_rate=1)
    for path in (*service.remembered, "/health", "/configure", "/metrics"):
        assert service.client.get(path).status_code == 200
    assert clock.slept == []


def test_failure_rate_is_a_share(service):
    service.configure(failure_rate=0.5, seed=4)
    failed = statuses(service, 60).count(500)
    assert 15 < failed < 45


def test_an_error_is_500_and_does_nothing(service, problem):
    service.configure(failure_rate=1, failure_mode="error")
    response = service.work()
    assert (response.status_code, problem(response)["type"]) == (500, "urn:campus:problem:injected-failure")
    assert not remembered(service)


def test_a_rejection_is_409_and_takes_nothing(service, service_of, problem):
    service.configure(failure_rate=1, failure_mode="reject")
    response = service.work()
    assert response.status_code == 409
    problem(response)
    if service.name == "order":
        assert service.client.get(response.headers["Location"]).json["reason"] == "injected"
    if service.name == "inventory":
        assert service.client.get("/reservations/o1").json["reason"] == "injected"
        assert service.client.get("/stock").json["stock"]["burger"]["on_hand"] == 5
    if service.name == "notification":
        assert not remembered(service)


@pytest.mark.parametrize("mode", ["hang", "drop"])
def test_a_dropped_or_hanging_request_gets_no_answer_and_does_nothing(service, mode):
    service.configure(failure_rate=1, failure_mode=mode)
    server_end, client_end = socket.socketpair()
    with server_end, client_end:
        if mode == "hang":
            client_end.shutdown(socket.SHUT_WR)  # the caller leaves, else it would hang for ever
        service.work(environ_overrides={"gunicorn.socket": server_end})
        readable, _, _ = select.select([client_end], [], [], 5)
        assert readable
        assert client_end.recv(1) == b""
    assert not remembered(service)


def test_a_crash_before_the_commit_leaves_nothing(service, service_of):
    service.configure(crash_point="before_commit")
    with pytest.raises(ProcessKilled):
        service.work()
    again = service_of(service.name)
    assert not remembered(again)
    assert again.client.get("/configure").json["config"] == no_fault(service)


def test_a_crash_after_the_commit_leaves_the_work_done(service, service_of):
    service.configure(crash_point="after_commit")
    with pytest.raises(ProcessKilled):
        service.work()
    assert remembered(service_of(service.name))


def test_a_release_crashes_too(service_of):
    inventory = service_of("inventory")
    inventory.work("o1")
    for point, status in (("before_commit", "reserved"), ("after_commit", "released")):
        inventory.configure(crash_point=point)
        with pytest.raises(ProcessKilled):
            inventory.client.post("/release", json={"order_id": "o1"})
        assert inventory.client.get("/reservations/o1").json["status"] == status


def test_a_release_obeys_faults_too(service_of, clock, problem):
    inventory = service_of("inventory")
    inventory.work("o1")
    inventory.configure(delay=1, failure_rate=1, failure_mode="reject")
    response = inventory.client.post("/release", json={"order_id": "o1"})
    assert (response.status_code, problem(response)["order_id"]) == (409, "o1")
    assert clock.slept == [1.0]
    assert inventory.client.get("/reservations/o1").json["status"] == "reserved"


def test_a_seed_repeats_what_fails(service):
    service.configure(failure_rate=0.5, seed=7)
    first = [status == 500 for status in statuses(service, 20)]
    service.configure(seed=7)
    assert [status == 500 for status in statuses(service, 20)] == first
    assert set(first) == {True, False}


def test_everything_expires(service, clock):
    service.configure(failure_rate=1, delay=1, expires_in=10)
    clock.now += 5
    assert service.client.get("/configure").json["config"]["expires_in"] == 5.0
    assert service.work("o1").status_code == 500
    clock.now += 5
    assert service.client.get("/configure").json["config"] == no_fault(service)
    assert service.work("o2").status_code == service.done


def test_timeout_is_how_long_the_order_service_waits(service_of, inventory):
    orders = service_of("order")
    assert orders.configure(timeout=0.01).json["config"]["timeout"] == 0.01
    orders.work()
    assert inventory.calls[0].timeout == 0.01
    orders.client.delete("/configure")
    orders.work()
    assert inventory.calls[1].timeout == 5.0


@pytest.mark.parametrize("name", ["order", "inventory", "notification"])
def test_a_token_guards_configure_and_nothing_else(make, service_of, monkeypatch, problem, name):
    monkeypatch.setenv("CONFIGURE_TOKEN", "secret")
    service = service_of(name)
    for method in ("GET", "POST", "DELETE"):
        response = service.client.open("/configure", method=method, json={"delay": 1})
        assert response.status_code == 401
        problem(response)
        assert response.headers["WWW-Authenticate"] == "Bearer"
    assert service.work().status_code == service.done
    right = {"Authorization": "Bearer secret"}
    assert service.client.post("/configure", json={"delay": 1}, headers=right).json["config"]["delay"] == 1.0
