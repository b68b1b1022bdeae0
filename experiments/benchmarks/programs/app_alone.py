"""The order service of Parts B and C without storage and without publishing: the same app factory, rules and answer."""

from campus.faults import ANSWERING, Faults
from campus.orders import Order
from campus.schemas import read_order
from campus.service import bind_order_id, create_service, idempotency_key, json_body
from flask import Flask, g


def create_app() -> Flask:
    """Create the app."""
    faults = Faults(ANSWERING)
    app = create_service("alone", about=__doc__, faults=faults, parts=[])

    @app.post("/order")
    def place_order():
        """Accept an order and forget it."""
        user_id, items = read_order(json_body())
        idempotency_key()
        faults.inject()
        order = Order.place(user_id=user_id, items=items, request_id=g.request_id)
        bind_order_id(order.order_id)
        return order.as_dict(), 202, {"Location": f"/orders/{order.order_id}"}

    return app
