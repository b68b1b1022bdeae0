"""The order service, its broker being fakes: what it accepts, what it tells, what it shows."""

import pytest
from campus.events import INVENTORY_FAILED, INVENTORY_RESERVED, NOTIFICATION_SENT, new_event
from conftest import Served
from testing.fakes import ProcessKilled

FULL_FORM = {"user_id": "u1", "items": [{"sku": "soda", "qty": 1}, {"sku": "burger", "qty": 1}]}
BAD = [
    (b"", "application/json", 400),
    (b'{"user_id": ', "application/json", 400),
    (b'{"item": "burger", "qty": NaN}', "application/json", 400),
    (b"null", "application/json", 400),
    (b'{"item": "burger"}', "application/json", 400),
    (b'{"item": "burger", "qty": 0}', "application/json", 400),
    (b'{"item": "burger", "qty": 101}', "application/json", 400),
    (b'{"item": "burger", "qty": "1"}', "application/json", 400),
    (b'{"item": "", "qty": 1}', "application/json", 400),
    (b'{"item": "burger", "qty": 1, "colour": "red"}', "application/json", 400),
    (b'{"user_id": "u1", "items": []}', "application/json", 400),
    (b'"' + b"x" * 66_000 + b'"', "application/json", 413),
    (b"item=burger&qty=1", "application/x-www-form-urlencoded", 415),
]


@pytest.fixture
def orders(make) -> Served:
    return make("order")


def place(orders: Served, body=None, **headers: str):
    return orders.client.post("/order", json=body or {"item": "burger", "qty": 1}, headers=headers)


def depth(orders: Served) -> float:
    (line,) = [line for line in orders.client.get("/metrics").text.splitlines() if line.startswith("outbox_depth ")]
    return float(line.split()[1])


def look(orders: Served, order_id: str) -> dict:
    return orders.client.get(f"/orders/{order_id}").json


def test_an_order_is_accepted_and_where_it_is_seen_is_said(orders):
    response = place(orders, FULL_FORM)
    order = response.json
    assert response.status_code == 202
    assert response.headers["Location"] == f"/orders/{order['order_id']}"
    assert set(order) == {"order_id", "user_id", "items", "status", "timeline"}
    assert (order["user_id"], order["status"]) == ("u1", "placed")
    assert order["items"] == [{"sku": "burger", "qty": 1}, {"sku": "soda", "qty": 1}]
    assert [step["status"] for step in order["timeline"]] == ["placed"]
    assert orders.client.get(response.headers["Location"]).json == order


def test_the_event_tells_of_the_order_and_of_the_request(orders):
    order = place(orders, FULL_FORM, **{"X-Request-ID": "r7"}).json
    assert depth(orders) == 1
    orders.relay()
    (published,) = orders.events()
    assert (published.event_type, published.order_id, published.request_id) == ("OrderPlaced", order["order_id"], "r7")
    assert published.data == {"user_id": "u1", "items": order["items"]}
    assert published.occurred_at == order["timeline"][0]["at"]
    assert depth(orders) == 0


@pytest.mark.promise("b-accepted")
def test_an_order_and_its_event_are_one_transaction(orders):
    place(orders)
    assert orders.journal == ["commit"]


def test_events_are_told_in_the_order_of_the_orders(orders):
    placed = [place(orders).json["order_id"] for _ in range(5)]
    orders.relay()
    assert [event.order_id for event in orders.events()] == placed


def test_orders_are_accepted_while_the_broker_is_down_and_ready_says_so(orders):
    orders.publisher.down = "RabbitMQ cannot be reached"
    assert place(orders).status_code == 202
    orders.relay()
    assert depth(orders) == 1
    response = orders.client.get("/ready")
    assert response.status_code == 503
    assert "RabbitMQ cannot be reached" in response.json["checks"]["publisher"]
    assert "RabbitMQ cannot be reached" in response.json["checks"]["relay"]
    assert response.json["checks"]["database"] == "ok"


@pytest.mark.parametrize("word", ["order.placed"])
def test_an_event_that_comes_back_is_seen_in_ready_and_in_the_metrics(orders, word):
    place(orders)
    orders.publisher.troubles = {word: "returned: NO_ROUTE for order.placed"}
    orders.relay()
    assert "NO_ROUTE" in orders.client.get("/ready").json["checks"]["relay"]
    assert depth(orders) == 1


def test_the_same_key_and_body_give_the_same_order_and_one_event(orders):
    first, second = (place(orders, FULL_FORM, **{"Idempotency-Key": "k1"}) for _ in range(2))
    assert (first.status_code, second.status_code) == (202, 202)
    assert first.json == second.json
    assert depth(orders) == 1
    orders.relay()
    assert place(orders, FULL_FORM, **{"Idempotency-Key": "k1"}).json == first.json
    assert depth(orders) == 0


def test_the_same_key_with_another_body_is_422(orders, problem):
    first = place(orders, **{"Idempotency-Key": "k1"}).json
    response = place(orders, FULL_FORM, **{"Idempotency-Key": "k1"})
    assert response.status_code == 422
    assert problem(response)["order_id"] == first["order_id"]
    assert depth(orders) == 1


def test_a_bad_key_is_refused(orders):
    assert place(orders, **{"Idempotency-Key": "k" * 256}).status_code == 400
    assert orders.listed("/orders") == []


@pytest.mark.parametrize(("data", "kind", "status"), BAD, ids=[f"{d[:40]!r}" for d, _, _ in BAD])
def test_a_bad_body_is_refused_and_nothing_is_told(orders, problem, data, kind, status):
    response = orders.client.post("/order", data=data, content_type=kind)
    assert response.status_code == status
    assert bool(problem(response).get("errors")) == (status == 400)
    assert orders.listed("/orders") == []
    assert depth(orders) == 0


@pytest.mark.promise("INV-5")
def test_an_injected_refusal_is_409_and_tells_nobody(orders, problem):
    orders.configure(failure_rate=1, failure_mode="reject")
    response = place(orders, **{"Idempotency-Key": "k1"})
    assert response.status_code == 409
    order = look(orders, problem(response)["order_id"])
    assert (order["status"], order["reason"]) == ("failed", "injected")
    assert depth(orders) == 0
    orders.client.delete("/configure")
    assert place(orders, **{"Idempotency-Key": "k1"}).status_code == 409
    assert depth(orders) == 0


@pytest.mark.promise("INV-4")
@pytest.mark.parametrize(("point", "left"), [("before_commit", 0), ("after_commit", 1)])
def test_a_crash_leaves_the_order_and_its_event_or_neither(orders, make, point, left):
    orders.configure(crash_point=point)
    with pytest.raises(ProcessKilled):
        place(orders)
    again = make("order")
    assert len(again.listed("/orders")) == left
    assert depth(again) == left
    again.relay()
    assert len(again.events()) == left


def test_the_order_is_brought_to_the_states_that_are_told(orders):
    first, second = (place(orders).json["order_id"] for _ in range(2))
    orders.take(
        new_event(INVENTORY_RESERVED, first, {"user_id": "u1", "items": [{"sku": "burger", "qty": 1}]}),
        new_event(INVENTORY_FAILED, second, {"reason": "unknown_sku"}),
    )
    orders.take(new_event(NOTIFICATION_SENT, first, {"user_id": "u1"}))
    assert [step["status"] for step in look(orders, first)["timeline"]] == ["placed", "reserved", "notified"]
    assert (look(orders, second)["status"], look(orders, second)["reason"]) == ("failed", "unknown_sku")
    assert orders.consumer.acked == [1, 2, 3]


def test_what_is_told_of_another_programs_order_is_dead_lettered_at_once_with_its_reason(orders):
    own = place(orders).json["order_id"]
    orders.take(
        new_event(INVENTORY_FAILED, "stranger", {"reason": "unknown_sku"}),
        new_event(NOTIFICATION_SENT, "another", {"user_id": "u1"}),
        new_event(INVENTORY_FAILED, own, {"reason": "unknown_sku"}),
    )
    letters = orders.publisher.sent
    assert [letter.key for letter in letters] == ["order-status.dlq"] * 2
    why = letters[0].headers["x-reason"]
    assert "InventoryFailed of order stranger, which is not in this store: its OrderPlaced is another program's" in why
    assert look(orders, own)["status"] == "failed"


def test_what_overtook_another_event_is_tried_again_later_and_harms_nobody(orders):
    early, other = (place(orders).json["order_id"] for _ in range(2))
    orders.take(
        new_event(NOTIFICATION_SENT, early, {"user_id": "u1"}),
        new_event(INVENTORY_FAILED, other, {"reason": "unknown_sku"}),
    )
    assert [m.key for m in orders.publisher.sent] == ["order-status.retry-1s"]
    assert (look(orders, early)["status"], look(orders, other)["status"]) == ("placed", "failed")
