"""The order service over REST: `POST /order` answers when the whole order is done, or says how far it came."""

import os
from collections.abc import Mapping
from typing import Any

from campus import order_store, pending
from campus.database import Database, DatabaseDown
from campus.faults import ANSWERING, Faults
from campus.openapi import IDEMPOTENCY_KEY, takes
from campus.orders import NOTIFIED, RESERVED, Order
from campus.pending import PendingSteps
from campus.problems import Problem
from campus.schemas import ORDER_FORMS, read_order
from campus.service import bind_order_id, create_service, idempotency_key, json_body
from campus.service_client import ServiceClient
from campus.views import add_gauge, show_orders
from flask import Flask, g

from order_service.saga import OrderSaga

# Why an order is not reserved → what its client is told. 504 is the only answer that leaves the outcome open.
REPLIES = {
    "unknown_sku": (404, "There is no such item on the menu."),
    "insufficient_stock": (409, "There is not enough in stock."),
    "injected": (409, "The order was refused."),
    "inventory_error": (502, "Inventory failed. Nothing stays reserved; order again."),
    "inventory_unreachable": (503, "Inventory cannot be reached. Nothing was reserved; try again later."),
    "inventory_timeout": (
        504,
        "Inventory did not answer in time. The order is completed or released later; look again.",
    ),
    "interrupted": (504, "The order was interrupted and then released; order again."),
    None: (504, "The order is still being worked on; look again."),
}
RETRY_AFTER = {503: {"Retry-After": "2"}, 504: {"Retry-After": "1"}}


def _timeout(env: Mapping[str, str]) -> float:
    """Return INVENTORY_TIMEOUT_MS in seconds. Raises ValueError."""
    given = env.get("INVENTORY_TIMEOUT_MS", "5000")
    if not given.isdecimal() or not 10 <= int(given) <= 60_000:
        raise ValueError(f"INVENTORY_TIMEOUT_MS must be a number from 10 to 60000; it is {given}")
    return int(given) / 1000


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the order service.

    `env` holds DATABASE_URL, INVENTORY_URL, NOTIFICATION_URL and INVENTORY_TIMEOUT_MS.
    """
    database = Database(env.get("DATABASE_URL", "sqlite:///order.db"), order_store.metadata, pending.metadata)
    inventory = ServiceClient(env.get("INVENTORY_URL", "http://127.0.0.1:8001"))
    notification = ServiceClient(env.get("NOTIFICATION_URL", "http://127.0.0.1:8002"))
    faults = Faults(ANSWERING | {"timeout"}, timeout=_timeout(env))
    steps = PendingSteps(database)
    saga = OrderSaga(database=database, pending=steps, inventory=inventory, notification=notification, faults=faults)
    app = create_service("order", about=__doc__, faults=faults, parts=[database, inventory, notification, steps, saga])

    @app.post("/order")
    @takes(*ORDER_FORMS, parameters=[IDEMPOTENCY_KEY], status=201)
    def place_order():
        """Place an order, reserve its items, notify the student; a repeated Idempotency-Key does nothing again."""
        user_id, items = read_order(json_body())
        key = idempotency_key()
        refusal = faults.inject()
        order = Order.place(user_id=user_id, items=items, request_id=g.request_id)
        with steps.held(order.order_id):
            placed = saga.place(order, key)
            bind_order_id(placed.order_id)
            if placed is not order:
                return answer(placed)
            if refusal:
                return answer(saga.refuse(order, refusal))
            try:
                return answer(saga.run(order))
            except DatabaseDown:  # what came of it is not written down: a loop asks inventory, when it can
                return answer(order)

    show_orders(app, database)
    add_gauge(app, database, "orders_pending", "Orders with a pending step", order_store.count_pending)
    return app


def answer(order: Order) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Tell the client what is true of its order: 201 when it is reserved, else the Problem of its reason."""
    where = {"Location": f"/orders/{order.order_id}"}
    if order.status in (RESERVED, NOTIFIED):
        notification = "sent" if order.status == NOTIFIED else "pending"
        return order.as_dict() | {"notification": notification}, 201, where
    status, detail = REPLIES[order.reason]
    headers = where | RETRY_AFTER.get(status, {})
    kind = (order.reason or "in_progress").replace("_", "-")
    raise Problem(status, kind, detail, headers=headers, order_id=order.order_id, order_status=order.status)
