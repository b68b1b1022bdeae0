"""The order service, its services being fakes: what it asks of them, and what it shows."""

import pytest
from campus.pending import LEASE_ROUNDS
from campus.service_client import ConnectFailed, OutcomeUnknown, Reply
from testing import loops
from testing.fakes import ProcessKilled

FULL_FORM = {"user_id": "u1", "items": [{"sku": "soda", "qty": 1}, {"sku": "burger", "qty": 1}]}


def place(client, body=None, **headers: str):
    return client.post("/order", json=body or {"item": "burger", "qty": 1}, headers=headers)


def rounds(client) -> None:
    """Let each background loop go through as many rounds as it takes to find out that another process is dead."""
    for loop in loops(client.application.extensions["campus"]).values():
        for _ in range(LEASE_ROUNDS):
            loop.round(0.0)


def states(order: dict) -> list[str]:
    return [step["status"] for step in order["timeline"]]


def test_an_order_is_reserved_and_then_notified(orders, inventory, notification):
    response = place(orders, FULL_FORM)
    order_id = response.json["order_id"]
    lines = [{"sku": "burger", "qty": 1}, {"sku": "soda", "qty": 1}]
    assert inventory.calls[0].body == {"order_id": order_id, "items": lines}
    assert notification.calls[0].body == {"order_id": order_id, "user_id": "u1"}
    assert (inventory.paths, notification.paths) == (["/reserve"], ["/send"])
    assert (response.json["status"], response.json["notification"]) == ("notified", "sent")
    assert states(response.json) == ["placed", "reserved", "notified"]


def test_the_short_form_is_one_line_of_a_guest(orders):
    for body in ({"item": "burger", "qty": 2}, {"item": "burger", "quantity": 2}):
        response = place(orders, body)
        assert (response.json["user_id"], response.json["items"]) == ("guest", [{"sku": "burger", "qty": 2}])


def test_lines_of_one_sku_are_added_up(orders):
    body = {"user_id": "u1", "items": [{"sku": "burger", "qty": 60}, {"sku": "burger", "qty": 60}]}
    assert place(orders, body).json["items"] == [{"sku": "burger", "qty": 120}]


def test_an_order_can_be_looked_up_where_location_says(orders):
    response = place(orders)
    found = orders.get(response.headers["Location"])
    assert found.status_code == 200
    assert found.json == {key: value for key, value in response.json.items() if key != "notification"}


def test_the_request_id_goes_to_the_services_that_it_calls(orders, inventory, notification):
    place(orders, None, **{"X-Request-ID": "r7"})
    assert [call.request_id for call in (*inventory.calls, *notification.calls)] == ["r7", "r7"]


def test_calls_wait_as_long_as_configured(make, inventory, notification):
    client = make("order", INVENTORY_TIMEOUT_MS="1500")
    place(client)
    client.post("/configure", json={"timeout": 0.25})
    place(client)
    assert [call.timeout for call in inventory.calls] == [1.5, 0.25]
    assert [call.timeout for call in notification.calls] == [1.5, 0.25]


@pytest.mark.promise("INV-6")
def test_a_refused_order_is_not_notified(orders, inventory, notification):
    inventory.answers["/reserve"] = Reply(409, {"reason": "insufficient_stock"})
    response = place(orders)
    order = orders.get(response.headers["Location"]).json
    assert (order["status"], order["reason"]) == ("failed", "insufficient_stock")
    assert notification.calls == []


def test_a_reservation_is_asked_for_once(orders, inventory):
    for answer in (
        ConnectFailed("x"),
        OutcomeUnknown("x"),
        Reply(500, {}),
        Reply(409, {"reason": "insufficient_stock"}),
    ):
        inventory.answers["/reserve"] = answer
        place(orders)
    assert inventory.paths == ["/reserve"] * 4


def test_inventory_answering_something_else_is_not_taken_for_a_verdict(orders, inventory, notification):
    for reply in (Reply(404, {}), Reply(404, {"reason": "elsewhere"}), Reply(400, {})):
        inventory.answers["/reserve"] = reply
        assert place(orders).status_code == 502
    assert notification.calls == []


def test_lists_are_oldest_first_in_pages_and_by_status(orders, inventory):
    ids = [place(orders).json["order_id"] for _ in range(3)]
    inventory.answers["/reserve"] = Reply(409, {"reason": "insufficient_stock"})
    ids.append(place(orders).json["order_id"])
    first = orders.get("/orders?limit=3").json
    assert [order["order_id"] for order in first["orders"]] == ids[:3]
    second = orders.get(f"/orders?limit=3&after={first['next']}").json
    assert [order["order_id"] for order in second["orders"]] == ids[3:]
    assert second["next"] is None
    failed = orders.get("/orders?status=failed").json["orders"]
    assert [order["order_id"] for order in failed] == ids[3:]
    assert orders.get("/orders?status=unknown").json == {"orders": [], "next": None}


@pytest.mark.parametrize("query", ["status=lost", "status=", "limit=0", "limit=1001", "limit=x", "size=3"])
def test_a_bad_query_is_refused(orders, problem, query):
    response = orders.get(f"/orders?{query}")
    assert response.status_code == 400
    assert problem(response)["errors"][0]["field"] == query.partition("=")[0]


def test_the_same_key_and_body_give_the_same_order_and_no_second_effect(orders, inventory, notification):
    first, second = (place(orders, None, **{"Idempotency-Key": "k1"}) for _ in range(2))
    assert (second.status_code, second.json) == (first.status_code, first.json)
    assert second.headers["Location"] == first.headers["Location"]
    assert (len(inventory.calls), len(notification.calls)) == (1, 1)


def test_either_form_of_the_same_order_is_the_same_body(orders):
    short = place(orders, {"item": "burger", "qty": 2}, **{"Idempotency-Key": "k1"})
    full = {"user_id": "guest", "items": [{"sku": "burger", "qty": 1}, {"sku": "burger", "qty": 1}]}
    assert place(orders, full, **{"Idempotency-Key": "k1"}).json == short.json


@pytest.mark.promise("INV-4")
def test_the_same_key_with_another_body_does_nothing(orders, inventory):
    place(orders, None, **{"Idempotency-Key": "k1"})
    assert place(orders, FULL_FORM, **{"Idempotency-Key": "k1"}).status_code == 422
    assert len(inventory.calls) == 1


def test_a_repeated_refusal_is_refused_alike(orders, inventory):
    inventory.answers["/reserve"] = Reply(409, {"reason": "insufficient_stock"})
    first, second = (place(orders, None, **{"Idempotency-Key": "k1"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (409, 409)
    assert first.headers["Location"] == second.headers["Location"]
    assert len(inventory.calls) == 1


def test_a_repeated_key_after_a_timeout_is_the_same_order(orders, inventory):
    inventory.answers["/reserve"] = OutcomeUnknown("x")
    first, second = (place(orders, None, **{"Idempotency-Key": "k1"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (504, 504)
    assert first.headers["Location"] == second.headers["Location"]
    assert len(inventory.calls) == 1


def test_a_key_whose_order_reached_nobody_may_be_used_again(orders, inventory):
    inventory.answers["/reserve"] = [ConnectFailed("x"), Reply(200, {"status": "reserved"})]
    first, second = (place(orders, None, **{"Idempotency-Key": "k1"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (503, 201)
    assert first.headers["Location"] != second.headers["Location"]


@pytest.mark.parametrize("held", [Reply(404, {}), Reply(200, {"status": "released"})])
def test_a_key_is_free_again_when_its_order_failed_after_a_timeout(orders, inventory, held):
    inventory.answers |= {"/reserve": [OutcomeUnknown("x"), Reply(200, {"status": "reserved"})], "/reservations": held}
    first = place(orders, None, **{"Idempotency-Key": "k1"})
    rounds(orders)
    assert orders.get(first.headers["Location"]).json["status"] == "failed"
    second = place(orders, None, **{"Idempotency-Key": "k1"})
    assert (first.status_code, second.status_code) == (504, 201)
    assert first.headers["Location"] != second.headers["Location"]


def test_a_verdict_that_came_too_late_is_the_answer_of_its_key(orders, inventory):
    refused = Reply(200, {"status": "failed", "reason": "insufficient_stock"})
    inventory.answers |= {"/reserve": OutcomeUnknown("x"), "/reservations": refused}
    first = place(orders, None, **{"Idempotency-Key": "k1"})
    rounds(orders)
    second = place(orders, None, **{"Idempotency-Key": "k1"})
    assert (first.status_code, second.status_code) == (504, 409)
    assert first.headers["Location"] == second.headers["Location"]


@pytest.mark.parametrize("key", ["", "x" * 256, "é"])
def test_a_bad_key_is_refused(orders, inventory, problem, key):
    response = place(orders, None, **{"Idempotency-Key": key})
    assert response.status_code == 400
    assert problem(response)["errors"][0]["field"] == "Idempotency-Key"
    assert inventory.calls == []


def test_a_key_of_255_characters_is_good(orders):
    assert place(orders, None, **{"Idempotency-Key": "x" * 255}).status_code == 201


def test_orders_survive_a_restart(orders, make):
    placed = place(orders, None, **{"Idempotency-Key": "k1"})
    again = make("order")
    assert again.get(placed.headers["Location"]).json["status"] == "notified"
    assert place(again, None, **{"Idempotency-Key": "k1"}).json == placed.json


def test_a_restart_resolves_what_was_left(orders, make):
    orders.post("/configure", json={"crash_point": "after_commit"})
    with pytest.raises(ProcessKilled):
        place(orders)
    again = make("order")
    rounds(again)
    (left,) = again.get("/orders").json["orders"]
    assert (left["status"], left["reason"]) == ("failed", "interrupted")


def test_readiness_needs_the_database_and_every_loop(orders):
    response = orders.get("/ready")
    assert response.status_code == 503
    not_started = {name: f"RuntimeError: {name}: not started" for name in ("lease", "ask", "release", "notify")}
    assert response.json["checks"] == {"database": "ok"} | not_started


def test_metrics_count_what_is_owed(orders, notification):
    notification.answers["/send"] = ConnectFailed("x")
    place(orders)
    assert "orders_pending 1.0" in orders.get("/metrics").text
