"""What the services of every part show of what they hold: orders, stock and reservations, notifications."""

import math
from typing import Any

from flask import Flask
from prometheus_client import Gauge

from campus import notifications, order_store, stock
from campus.bounded import Bounded
from campus.database import Database
from campus.openapi import ORDER_ID, PAGE, STATUS, takes
from campus.orders import NOTIFIED, STATUSES
from campus.problems import Problem
from campus.schemas import StockSchema, bad_request, read_stock_change
from campus.service import json_body, listing, page_request

GAUGE_SECONDS = 0.3  # how long `GET /metrics` waits for one figure


def show_orders(app: Flask, database: Database) -> None:
    """Add `GET /orders/<id>` and `GET /orders`."""

    @app.get("/orders/<order_id>")
    def order(order_id: str) -> dict[str, Any]:
        """Show an order, its state and its timeline."""
        with database.reading() as tx:
            found = order_store.find(tx, order_id)
        if found is None:
            raise Problem(404, "no-such-order", "There is no order with this id.", order_id=order_id)
        return found.as_dict()

    @app.get("/orders")
    @takes(parameters=[STATUS, *PAGE])
    def orders() -> dict[str, Any]:
        """List the orders, oldest first, in pages; `status` picks those in one state."""
        query = page_request("status")
        if query.get("status", NOTIFIED) not in STATUSES:
            raise bad_request([{"field": "status", "why": f"must be one of {', '.join(STATUSES)}"}])
        with database.reading() as tx:
            rows = [order.as_dict() for order in order_store.page(tx, **query)]
        return listing("orders", rows, query["limit"])


def show_stock(app: Flask, database: Database) -> None:
    """Add `GET /reservations/<order_id>`, `GET /reservations`, and `GET` and `POST /stock`."""

    @app.get("/reservations/<order_id>")
    def reservation(order_id: str) -> dict[str, Any]:
        """Show one order's reservation."""
        with database.reading() as tx:
            found = stock.find(tx, order_id)
        if found is None:
            raise Problem(404, "no-reservation", "There is no reservation for this order.", order_id=order_id)
        return found

    @app.get("/reservations")
    @takes(parameters=PAGE)
    def reservations() -> dict[str, Any]:
        """List the reservations, in pages."""
        query = page_request()
        with database.reading() as tx:
            return listing("reservations", stock.page(tx, **query), query["limit"])

    @app.get("/stock")
    def levels() -> dict[str, Any]:
        """Show what is on hand and what is reserved."""
        with database.reading() as tx:
            return {"stock": stock.levels(tx)}

    @app.post("/stock")
    @takes(StockSchema)
    def change_stock() -> dict[str, Any]:
        """Set or add to what is on hand of one sku."""
        change = read_stock_change(json_body())
        with database.transaction() as tx:
            stock.change(tx, change.sku, add=change.add, put=change.set)
            return {"stock": stock.levels(tx)}


def show_notifications(app: Flask, database: Database) -> None:
    """Add `GET /notifications`."""

    @app.get("/notifications", endpoint="notifications")
    @takes(parameters=[ORDER_ID, *PAGE])
    def list_notifications() -> dict[str, Any]:
        """List what was sent, in pages, or for one order."""
        query = page_request("order_id")
        with database.reading() as tx:
            return listing("notifications", notifications.page(tx, **query), query["limit"])


def add_gauge(app: Flask, database: Database, name: str, text: str, counter: Any) -> None:
    """Add a gauge to `GET /metrics` that shows `counter(tx)` at the time of asking; NaN when it is not known."""

    def value() -> int:
        with database.reading() as tx:
            return counter(tx)

    asked = Bounded(value, GAUGE_SECONDS)

    def shown() -> float:
        try:
            return asked()
        except OSError:  # late, or the database is down: the other figures must not go with this one
            return math.nan

    Gauge(name, text, registry=app.extensions["campus"].registry).set_function(shown)
