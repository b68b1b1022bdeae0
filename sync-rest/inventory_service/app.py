"""The inventory service over REST: `POST /reserve` takes stock for an order, `POST /release` gives it back."""

import os
from collections.abc import Mapping
from typing import Any

from campus import stock, trace
from campus.database import Database
from campus.faults import ANSWERING, Faults
from campus.openapi import takes
from campus.orders import add_up
from campus.problems import Problem
from campus.schemas import ReleaseSchema, ReserveSchema, check
from campus.service import bind_order_id, create_service, json_body
from campus.views import show_stock
from flask import Flask

STATUS = {stock.UNKNOWN_SKU: 404, stock.INSUFFICIENT_STOCK: 409, stock.INJECTED: 409}


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the inventory service. `env` holds DATABASE_URL and INITIAL_STOCK."""
    database = Database(env.get("DATABASE_URL", "sqlite:///inventory.db"), stock.metadata)
    with database.transaction() as tx:
        stock.fill(tx, env.get("INITIAL_STOCK"))
    faults = Faults(ANSWERING)
    app = create_service("inventory", about=__doc__, faults=faults, parts=[database])

    @app.post("/reserve")
    @takes(ReserveSchema)
    def reserve():
        """Reserve every line of an order or none; a second call answers with the first verdict."""
        body = check(ReserveSchema, json_body())
        bind_order_id(body.order_id)
        items = add_up([{"sku": line.sku, "qty": line.qty} for line in body.items])
        refusal = faults.inject()
        with database.transaction() as tx:
            reservation = stock.reserve(tx, body.order_id, items, refuse=refusal)
            faults.crash_at("before_commit")
        trace.note("commit", body.order_id, reservation["status"])
        faults.crash_at("after_commit")
        return verdict(reservation)

    @app.post("/release")
    @takes(ReleaseSchema)
    def release():
        """Give back what an order holds. An order not seen yet is closed: its reservation would come too late."""
        body = check(ReleaseSchema, json_body())
        bind_order_id(body.order_id)
        refusal = faults.inject()
        if refusal:
            raise Problem(409, "release-refused", "The release was refused.", reason=refusal)
        with database.transaction() as tx:
            reservation = stock.release(tx, body.order_id)
            faults.crash_at("before_commit")
        trace.note("commit", body.order_id, reservation["status"])
        faults.crash_at("after_commit")
        return reservation

    show_stock(app, database)
    return app


def verdict(reservation: dict[str, Any]) -> dict[str, Any]:
    """Answer 200 with a reservation that holds; raise a 404 or 409 Problem for one that does not."""
    if reservation["status"] == stock.RESERVED:
        return reservation
    reason = reservation.get("reason", "released")
    kind, detail = reason.replace("_", "-"), f"Nothing is reserved for this order: {reason}."
    members = {"order_id": reservation["order_id"], "reason": reason, "reservation": reservation}
    raise Problem(STATUS.get(reason, 409), kind, detail, **members)
