"""Bad bodies and bad faults of many kinds: each is refused with its exact status, and nothing changes."""

import json

import pytest

BIG = 10**30
LINE = {"sku": "burger", "qty": 1}


def order(**items) -> dict:
    return {"user_id": "u1", "items": [LINE | items]}


def reservation(**items) -> dict:
    return {"order_id": "o1", "items": [LINE | items]}


# What no endpoint takes: raw body, media type, status.
RAW = {
    "empty": (b"", "application/json", 400),
    "byte order mark": (b'\xef\xbb\xbf{"item": "burger", "qty": 1}', "application/json", 400),
    "half an object": (b'{"user_id": ', "application/json", 400),
    "single quotes": (b"{'a': 1}", "application/json", 400),
    "two values": (b"{} {}", "application/json", 400),
    "trailing comma": (b'{"a": 1,}', "application/json", 400),
    "NaN": (b'{"qty": NaN}', "application/json", 400),
    "not UTF-8": (b'{"sku": "\xff"}', "application/json", 400),
    "UTF-16": ('{"sku": "a"}'.encode("utf-16"), "application/json", 400),
    "a lone surrogate": (b'{"item": "\\ud800", "qty": 1}', "application/json", 400),
    "nested too deep": (b"[" * 9000, "application/json", 400),
    "a number too long": (b'{"qty": 1' + b"0" * 5000 + b"}", "application/json", 400),
    "65 KiB": (b'"' + b"x" * 66_000 + b'"', "application/json", 413),
    "a form": (b"item=burger&qty=1", "application/x-www-form-urlencoded", 415),
    "plain text": (b'{"item": "burger", "qty": 1}', "text/plain", 415),
    "no media type": (b'{"item": "burger", "qty": 1}', None, 415),
    "null": (b"null", "application/json", 400),
    "a number": (b"1", "application/json", 400),
    "a string": (b'"burger"', "application/json", 400),
    "a list": (b'[{"item": "burger", "qty": 1}]', "application/json", 400),
    "an empty object": (b"{}", "application/json", 400),
}
# JSON that breaks a rule: endpoint, body, the field that is named.
RULES = [
    ("/order", {"user_id": "u1"}, "items"),
    ("/order", {"items": [LINE]}, "user_id"),
    ("/order", {"user_id": "u1", "items": []}, "items"),
    ("/order", {"user_id": "u1", "items": [LINE] * 51}, "items"),
    ("/order", {"user_id": "u1", "items": LINE}, "items"),
    ("/order", {"user_id": "u1", "items": "burger"}, "items"),
    ("/order", {"user_id": "u1", "items": None}, "items"),
    ("/order", {"user_id": "u1", "items": ["burger"]}, "items[0]"),
    ("/order", {"user_id": "u1", "items": [LINE, None]}, "items[1]"),
    ("/order", {"user_id": "", "items": [LINE]}, "user_id"),
    ("/order", {"user_id": 7, "items": [LINE]}, "user_id"),
    ("/order", {"user_id": None, "items": [LINE]}, "user_id"),
    ("/order", {"user_id": "u" * 65, "items": [LINE]}, "user_id"),
    ("/order", {"user_id": "u\n1", "items": [LINE]}, "user_id"),
    ("/order", order(qty=0), "items[0].qty"),
    ("/order", order(qty=-1), "items[0].qty"),
    ("/order", order(qty=101), "items[0].qty"),
    ("/order", order(qty=BIG), "items[0].qty"),
    ("/order", order(qty=1.0), "items[0].qty"),
    ("/order", order(qty=1.5), "items[0].qty"),
    ("/order", order(qty="1"), "items[0].qty"),
    ("/order", order(qty=True), "items[0].qty"),
    ("/order", order(qty=None), "items[0].qty"),
    ("/order", order(qty=[1]), "items[0].qty"),
    ("/order", order(sku=""), "items[0].sku"),
    ("/order", order(sku="x" * 65), "items[0].sku"),
    ("/order", order(sku=1), "items[0].sku"),
    ("/order", order(sku=None), "items[0].sku"),
    ("/order", order(sku="a\x00"), "items[0].sku"),
    ("/order", order(sku={"$ne": ""}), "items[0].sku"),
    ("/order", order(price=1), "items[0].price"),
    ("/order", order(quantity=1), "items[0].quantity"),
    ("/order", order() | {"order_id": "mine"}, "order_id"),
    ("/order", order() | {"status": "notified"}, "status"),
    ("/order", order() | {"item": "burger"}, "item"),
    ("/order", {"item": "burger"}, "qty"),
    ("/order", {"item": "burger", "qty": 0}, "qty"),
    ("/order", {"item": "burger", "quantity": 101}, "quantity"),
    ("/order", {"item": "burger", "qty": 1, "quantity": 1}, "quantity"),
    ("/order", {"item": "", "qty": 1}, "item"),
    ("/order", {"item": ["burger"], "qty": 1}, "item"),
    ("/order", {"item": "burger", "qty": 1, "user_id": ""}, "user_id"),
    ("/order", {"item": "burger", "qty": 1, "colour": "red"}, "colour"),
    ("/order", {"Item": "burger", "qty": 1}, "user_id"),
    ("/reserve", {"items": [LINE]}, "order_id"),
    ("/reserve", {"order_id": "o1"}, "items"),
    ("/reserve", {"order_id": "", "items": [LINE]}, "order_id"),
    ("/reserve", {"order_id": "o" * 65, "items": [LINE]}, "order_id"),
    ("/reserve", {"order_id": 1, "items": [LINE]}, "order_id"),
    ("/reserve", {"order_id": "o\x00", "items": [LINE]}, "order_id"),
    ("/reserve", {"order_id": "o1", "items": []}, "items"),
    ("/reserve", {"order_id": "o1", "items": [LINE] * 51}, "items"),
    ("/reserve", reservation(qty=0), "items[0].qty"),
    ("/reserve", reservation(qty=5001), "items[0].qty"),
    ("/reserve", reservation(qty="1"), "items[0].qty"),
    ("/reserve", reservation(qty=True), "items[0].qty"),
    ("/reserve", reservation(sku=None), "items[0].sku"),
    ("/reserve", reservation() | {"user_id": "u1"}, "user_id"),
    ("/release", {"order_id": ""}, "order_id"),
    ("/release", {"order_id": None}, "order_id"),
    ("/release", {"order_id": ["o1"]}, "order_id"),
    ("/release", {"order_id": "o" * 65}, "order_id"),
    ("/release", {"order_id": "o1", "items": [LINE]}, "items"),
    ("/release", {"id": "o1"}, "order_id"),
    ("/send", {"order_id": "o1"}, "user_id"),
    ("/send", {"user_id": "u1"}, "order_id"),
    ("/send", {"order_id": "", "user_id": "u1"}, "order_id"),
    ("/send", {"order_id": "o1", "user_id": ""}, "user_id"),
    ("/send", {"order_id": "o1", "user_id": 7}, "user_id"),
    ("/send", {"order_id": "o1", "user_id": "u" * 65}, "user_id"),
    ("/send", {"order_id": "o1", "user_id": "u\t1"}, "user_id"),
    ("/send", {"order_id": "o1", "user_id": "u1", "text": "hello"}, "text"),
    ("/stock", {"sku": "burger"}, "set"),
    ("/stock", {"sku": "burger", "set": 1, "add": 1}, "set"),
    ("/stock", {"sku": "burger", "set": None, "add": None}, "set"),
    ("/stock", {"sku": "burger", "set": -1}, "set"),
    ("/stock", {"sku": "burger", "set": 1.0}, "set"),
    ("/stock", {"sku": "burger", "set": "1"}, "set"),
    ("/stock", {"sku": "burger", "add": -1}, "add"),
    ("/stock", {"sku": "burger", "add": BIG}, "add"),
    ("/stock", {"sku": "burger", "add": False}, "add"),
    ("/stock", {"sku": "", "add": 1}, "sku"),
    ("/stock", {"sku": "x" * 65, "add": 1}, "sku"),
    ("/stock", {"add": 1}, "sku"),
    ("/stock", {"sku": "burger", "add": 1, "initial": 1}, "initial"),
]
OWNER = {
    "/order": "order",
    "/reserve": "inventory",
    "/release": "inventory",
    "/send": "notification",
    "/stock": "inventory",
}
FAULTS = [
    ({"speed": 1}, "speed"),
    ({"delay": 1, "speed": 1}, "speed"),
    ({"Delay": 1}, "Delay"),
    ({"delay": -0.1}, "delay"),
    ({"delay": 60.1}, "delay"),
    ({"delay": "1"}, "delay"),
    ({"delay": True}, "delay"),
    ({"delay": [1]}, "delay"),
    ({"jitter": -1}, "jitter"),
    ({"jitter": 61}, "jitter"),
    ({"failure_rate": 1.01}, "failure_rate"),
    ({"failure_rate": -0.01}, "failure_rate"),
    ({"failure_rate": "0.5"}, "failure_rate"),
    ({"failure_rate": True}, "failure_rate"),
    ({"failure_mode": "explode"}, "failure_mode"),
    ({"failure_mode": ["drop"]}, "failure_mode"),
    ({"crash_point": "sometime"}, "crash_point"),
    ({"crash_point": "after_publish"}, "crash_point"),
    ({"seed": 1.5}, "seed"),
    ({"seed": "7"}, "seed"),
    ({"seed": True}, "seed"),
    ({"expires_in": -1}, "expires_in"),
    ({"expires_in": 3601}, "expires_in"),
    ({"expires_in": "1"}, "expires_in"),
    ({"paused": True}, "paused"),
    ({"throttle": 1}, "throttle"),
    ({"timeout": 0}, "timeout"),
    ({"timeout": 61}, "timeout"),
    ({"delay": 1, "failure_rate": 2}, "failure_rate"),
    ([], "(body)"),
    (None, "(body)"),
    ("delay=1", "(body)"),
    ([{"delay": 1}], "(body)"),
]


@pytest.mark.parametrize("what", RAW)
@pytest.mark.parametrize("path", [*OWNER])
def test_what_no_endpoint_takes(service_of, problem, path, what):
    service = service_of(OWNER[path])
    before = service.memory()
    data, kind, status = RAW[what]
    response = service.client.post(path, data=data, content_type=kind)
    assert response.status_code == status
    assert bool(problem(response).get("errors")) == (status == 400)
    assert service.memory() == before


@pytest.mark.parametrize(("path", "body", "field"), RULES, ids=[f"{p} {json.dumps(b)[:60]}" for p, b, _ in RULES])
def test_json_that_breaks_a_rule(service_of, inventory, notification, problem, path, body, field):
    service = service_of(OWNER[path])
    before = service.memory()
    response = service.client.post(path, json=body)
    assert response.status_code == 400
    assert field in [error["field"] for error in problem(response)["errors"]]
    assert service.memory() == before
    assert inventory.calls == notification.calls == []


def test_a_bad_repetition_leaves_what_the_first_request_did(service):
    service.work("o1")
    before = service.memory()
    assert service.client.post(service.path, json=service.body("o1") | {"colour": "red"}).status_code == 400
    assert service.memory() == before


@pytest.mark.parametrize(("patch", "field"), FAULTS, ids=[json.dumps(patch) for patch, _ in FAULTS])
def test_bad_faults(service, problem, patch, field):
    service.configure(delay=0.5, seed=3)
    before = service.memory()
    response = service.client.post("/configure", data=json.dumps(patch), content_type="application/json")
    assert response.status_code == 400
    assert field in [error["field"] for error in problem(response)["errors"]]
    assert service.memory() == before


@pytest.mark.parametrize("what", [what for what in RAW if what != "an empty object"])
def test_faults_that_are_no_json_object(service, problem, what):
    service.configure(delay=0.5)
    before = service.memory()
    data, kind, status = RAW[what]
    response = service.client.post("/configure", data=data, content_type=kind)
    assert response.status_code == status
    problem(response)
    assert service.memory() == before


@pytest.mark.parametrize("name", ["inventory", "notification"])
def test_only_the_order_service_has_a_timeout(service_of, problem, name):
    response = service_of(name).configure(timeout=1)
    assert response.status_code == 400
    assert [error["field"] for error in problem(response)["errors"]] == ["timeout"]


def test_there_are_enough_kinds():
    assert len(RULES) + len(RAW) >= 40
    assert len(FAULTS) >= 20
