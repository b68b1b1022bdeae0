"""One Idempotency-Key used by several clients at once, while inventory fails in every way: all are told the truth."""

import random
import threading
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import order_service.app
import order_service.saga
import pytest
from campus.lifecycle import Part
from campus.service_client import ConnectFailed, OutcomeUnknown, Reply
from flask.testing import FlaskClient
from testing import wait_until

KEYS = ("breakfast", "lunch", "dinner")
CLIENTS, ORDERS = 8, 5
TROUBLES = ("away", "lost", "late", "done", "fails", "slow", "well", "well")


class Unreliable(Part):
    """A service, called in this process; as long as it is `troubled`, chance decides what becomes of each call."""

    def __init__(self, client: FlaskClient, seed: int) -> None:
        self._app, self._chance, self._turn = client.application, random.Random(seed), threading.Lock()
        self.troubled, self.late = True, ThreadPoolExecutor(4)

    def post(self, path: str, body: Any, *, timeout: float, request_id: str) -> Reply:
        return self._call(lambda: self._app.test_client().post(path, json=body))

    def get(self, path: str, *, timeout: float, request_id: str) -> Reply:
        return self._call(lambda: self._app.test_client().get(path))

    def _call(self, call: Callable[[], Any]) -> Reply:
        with self._turn:
            trouble, seconds = self._chance.choice(TROUBLES), self._chance.uniform(0, 0.05)
        if not self.troubled:
            trouble = "well"
        if trouble == "away":
            raise ConnectFailed("away")
        if trouble == "late":
            self.late.submit(lambda: (time.sleep(seconds), call()))
        if trouble == "slow":
            time.sleep(seconds)
        if trouble == "done":
            call()
        if trouble in ("late", "lost", "done"):
            raise OutcomeUnknown(trouble)
        if trouble == "fails":
            return Reply(500, {})
        answer = call()
        return Reply(answer.status_code, answer.json)


@pytest.fixture(params=range(5))
def services(request, make, monkeypatch):
    """The order service with its loops running, and the two that it calls, which are unreliable."""
    inventory, notification = make("inventory"), make("notification")
    inventory.post("/stock", json={"sku": "burger", "add": 1000})
    unreliable = Unreliable(inventory, request.param), Unreliable(notification, request.param + 100)
    called = dict(zip(("http://inventory", "http://notification"), unreliable, strict=True))
    monkeypatch.setattr(order_service.app, "ServiceClient", called.__getitem__)
    monkeypatch.setattr(order_service.saga, "RETRY_SECONDS", 0.02)
    orders = make("order")
    orders.application.extensions["campus"].start()
    return orders, inventory, notification, unreliable


@pytest.mark.promise("answers")
def test_what_clients_with_one_key_are_told_stays_true(services, problem):
    orders, inventory, notification, unreliable = services
    answers: list[tuple[str, Any]] = []

    def client(number: int) -> None:
        chance = random.Random(number)
        for _ in range(ORDERS):
            key = chance.choice(KEYS)
            body, headers = {"item": "burger", "qty": 1, "user_id": key}, {"Idempotency-Key": key}
            answers.append((key, orders.application.test_client().post("/order", json=body, headers=headers)))

    with ThreadPoolExecutor(CLIENTS) as pool:
        list(pool.map(client, range(CLIENTS)))
    for each in unreliable:
        each.late.shutdown(wait=True)
        each.troubled = False
    wait_until(lambda: "orders_pending 0.0" in orders.get("/metrics").text)
    ended = {order["order_id"]: order for order in orders.get("/orders?limit=1000").json["orders"]}
    held = {row["order_id"] for row in inventory.get("/reservations?limit=1000").json["reservations"] if holds(row)}
    notified = [row["order_id"] for row in notification.get("/notifications?limit=1000").json["notifications"]]

    assert len(answers) == CLIENTS * ORDERS
    for key, answer in answers:
        order = ended[answer.get_json(force=True)["order_id"]]
        assert order["user_id"] == key
        if answer.status_code == 201:
            assert order["status"] == "notified"
        elif answer.status_code == 504:
            assert int(answer.headers["Retry-After"]) > 0
        else:
            assert (answer.status_code, order["status"]) in ((502, "failed"), (503, "failed"))
            assert problem(answer)
    for key in KEYS:
        assert [o["status"] for o in ended.values() if o["user_id"] == key].count("notified") <= 1
    assert {order["status"] for order in ended.values()} <= {"notified", "failed"}
    assert held == {order_id for order_id, order in ended.items() if order["status"] == "notified"}
    assert sorted(notified) == sorted(held)


def holds(reservation: dict) -> bool:
    return reservation["status"] == "reserved"
