"""Every row of the status table of `POST /order`, and what all errors have in common."""

import re

import pytest
from campus import order_store
from campus.database import DatabaseDown
from campus.service_client import ConnectFailed, OutcomeUnknown, Reply
from testing import loops

GOOD = {"item": "burger", "qty": 1}
REFUSED = {
    "unknown sku": (Reply(404, {"reason": "unknown_sku"}), 404, "failed"),
    "not enough stock": (Reply(409, {"reason": "insufficient_stock"}), 409, "failed"),
    "injected refusal": (Reply(409, {"reason": "injected"}), 409, "failed"),
    "inventory answered 500": (Reply(500, {"detail": "x"}), 502, "unknown"),
    "inventory answered 503": (Reply(503, {}), 502, "unknown"),
    "inventory cannot be reached": (ConnectFailed("x"), 503, "failed"),
    "inventory did not answer in time": (OutcomeUnknown("x"), 504, "unknown"),
    "inventory answered 200 and no reservation": (Reply(200, {"status": "released"}), 504, "unknown"),
    "something else answered 200": (Reply(200, {}), 504, "unknown"),
}


@pytest.mark.promise("a-accepted")
def test_reserved_and_notified_is_201(orders):
    response = orders.post("/order", json=GOOD)
    assert response.status_code == 201
    assert response.content_type == "application/json"
    assert response.headers["Location"] == f"/orders/{response.json['order_id']}"
    assert (response.json["status"], response.json["notification"]) == ("notified", "sent")


@pytest.mark.parametrize("what", REFUSED)
def test_an_order_that_is_not_reserved(orders, inventory, notification, problem, what):
    inventory.answers["/reserve"], status, state = REFUSED[what]
    response = orders.post("/order", json=GOOD, headers={"X-Request-ID": "r1"})
    body = problem(response)
    assert (response.status_code, body["request_id"]) == (status, "r1")
    assert response.headers["Location"] == f"/orders/{body['order_id']}"
    assert orders.get(response.headers["Location"]).json["status"] == body["order_status"] == state
    assert notification.calls == []


def test_an_unreachable_inventory_says_when_to_try_again(orders, inventory):
    inventory.answers["/reserve"] = ConnectFailed("x")
    assert int(orders.post("/order", json=GOOD).headers["Retry-After"]) > 0


@pytest.mark.promise("a-accepted")
@pytest.mark.parametrize(
    "answer", [ConnectFailed("x"), OutcomeUnknown("x"), Reply(500, {}), Reply(409, {"reason": "injected"})]
)
def test_a_failed_notification_is_201_and_pending(orders, notification, answer):
    notification.answers["/send"] = answer
    response = orders.post("/order", json=GOOD)
    assert response.status_code == 201
    assert response.headers["Location"] == f"/orders/{response.json['order_id']}"
    assert (response.json["status"], response.json["notification"]) == ("reserved", "pending")


def test_a_body_that_breaks_a_rule_is_400_with_the_fields_and_why(orders, problem):
    response = orders.post("/order", json={"user_id": "u1", "items": [{"sku": "", "qty": 0}], "x": 1})
    errors = problem(response)["errors"]
    assert response.status_code == 400
    assert [error["field"] for error in errors] == ["items[0].sku", "items[0].qty", "x"]
    assert all(error["why"] for error in errors)


def test_a_body_that_is_not_json_is_400(orders, problem):
    response = orders.post("/order", data="{", content_type="application/json")
    assert response.status_code == 400
    assert problem(response)["errors"][0]["field"] == "(body)"


def test_the_same_key_with_another_body_is_422(orders, problem):
    first = orders.post("/order", json=GOOD, headers={"Idempotency-Key": "k1"})
    response = orders.post("/order", json=GOOD | {"qty": 2}, headers={"Idempotency-Key": "k1"})
    assert response.status_code == 422
    assert problem(response)["order_id"] == first.json["order_id"]


def test_an_injected_error_of_the_order_service_itself_is_500(orders, inventory, problem):
    orders.post("/configure", json={"failure_rate": 1})
    response = orders.post("/order", json=GOOD)
    assert response.status_code == 500
    assert problem(response)["type"] == "urn:campus:problem:injected-failure"
    assert inventory.calls == []


def test_an_injected_refusal_of_the_order_service_itself_is_409(orders, inventory, problem):
    orders.post("/configure", json={"failure_rate": 1, "failure_mode": "reject"})
    response = orders.post("/order", json=GOOD)
    assert (response.status_code, problem(response)["order_status"]) == (409, "failed")
    assert inventory.calls == []


def test_an_order_that_is_still_worked_on_is_504_for_its_repetition(orders, inventory, problem):
    seen = []

    def repeat_meanwhile(_body) -> Reply:
        seen.append(orders.application.test_client().post("/order", json=GOOD, headers={"Idempotency-Key": "k1"}))
        return Reply(200, {"status": "reserved"})

    inventory.answers["/reserve"] = repeat_meanwhile
    first = orders.post("/order", json=GOOD, headers={"Idempotency-Key": "k1"})
    assert first.status_code == 201
    assert seen[0].status_code == 504
    assert problem(seen[0])["order_id"] == first.json["order_id"]
    assert int(seen[0].headers["Retry-After"]) > 0


def test_an_outcome_that_cannot_be_written_down_is_504_and_found_out_later(orders, inventory, problem, monkeypatch):
    """A 503 would say that nothing happened; inventory has reserved."""
    save = order_store.save

    def down(*_args, **_options):
        raise DatabaseDown("the disk is full")

    monkeypatch.setattr(order_store, "save", down)
    response = orders.post("/order", json=GOOD)
    assert response.status_code == 504
    assert problem(response)["order_status"] == "placed"
    monkeypatch.setattr(order_store, "save", save)
    inventory.answers["/reservations"] = Reply(200, {"status": "reserved"})
    for loop in loops(orders.application.extensions["campus"]).values():
        loop.round(0.0)
    assert orders.get(response.headers["Location"]).json["status"] == "notified"


def test_too_long_a_body_is_413(service, problem):
    before = service.memory()
    response = service.client.post(service.path, data=b" " * 65537, content_type="application/json")
    assert response.status_code == 413
    problem(response)
    assert service.memory() == before


def test_another_media_type_is_415(service, problem):
    before = service.memory()
    for kind in ("text/plain", "application/x-www-form-urlencoded", None):
        response = service.client.post(service.path, data="{}", content_type=kind)
        assert response.status_code == 415
        problem(response)
    assert service.memory() == before


@pytest.mark.parametrize("path", ["/nothing", "/orders/1/2", "/order/1"])
def test_an_unknown_path_is_404(service, problem, path):
    response = service.client.get(path)
    assert response.status_code == 404
    problem(response)


def test_an_unknown_order_is_404_and_named(orders, problem):
    response = orders.get("/orders/o9")
    assert (response.status_code, problem(response)["order_id"]) == (404, "o9")


def test_an_unknown_method_is_405_and_says_which_are_known(service, problem):
    for method, path, known in (
        ("GET", service.path, "POST"),
        ("PUT", "/configure", "DELETE"),
        ("POST", "/health", "GET"),
    ):
        response = service.client.open(path, method=method)
        assert response.status_code == 405
        problem(response)
        assert known in response.headers["Allow"]


def test_a_request_id_is_echoed_on_good_answers_and_bad(service):
    for response in (
        service.work(headers={"X-Request-ID": "r1"}),
        service.client.get("/nothing", headers={"X-Request-ID": "r1"}),
    ):
        assert response.headers["X-Request-ID"] == "r1"


def test_a_missing_request_id_is_made(service):
    made = [service.work(str(n)).headers["X-Request-ID"] for n in range(2)]
    assert all(re.fullmatch(r"[0-9a-f-]{36}", each) for each in made)
    assert made[0] != made[1]
