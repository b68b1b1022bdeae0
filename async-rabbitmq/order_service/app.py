"""The order service over RabbitMQ: `POST /order` answers when the order is safe, and the rest happens behind it."""

import os
from collections.abc import Mapping, Sequence

from broker import asyncapi
from broker.worker import Worker
from campus import order_projection, order_store, outbox, trace
from campus.database import Database
from campus.events import INVENTORY_FAILED, INVENTORY_RESERVED, NOTIFICATION_SENT, Event, order_placed
from campus.faults import CONSUMING, Faults
from campus.openapi import IDEMPOTENCY_KEY, takes
from campus.orders import FAILED, IllegalTransition, Order
from campus.retry import WorkItem
from campus.schemas import ORDER_FORMS, read_order
from campus.service import accepted, create_service, idempotency_key, json_body
from campus.transaction import Transaction
from campus.views import add_gauge, show_orders
from flask import Flask, g
from prometheus_client import CollectorRegistry

from order_service.relay import Relay


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the order service. `env` holds DATABASE_URL and RABBITMQ_URL."""
    database = Database(env.get("DATABASE_URL", "sqlite:///order.db"), order_store.metadata, outbox.metadata)
    url = env.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:8013/%2f")
    faults = Faults(CONSUMING, points=("before_commit", "after_commit", "after_publish"))
    registry = CollectorRegistry()
    relay = Relay(url, database=database, faults=faults)
    worker = Worker(
        url,
        "order",
        queue="order-status",
        expects=[INVENTORY_RESERVED, INVENTORY_FAILED, NOTIFICATION_SENT],
        handle=project,
        database=database,
        faults=faults,
        registry=registry,
        injects_faults=False,  # this service's faults are those of POST /order
        one_at_a_time=True,  # so that an order's events are applied in turn
    )
    app = create_service("order", about=__doc__, faults=faults, parts=[database, relay, worker], registry=registry)

    @app.post("/order")
    @takes(*ORDER_FORMS, parameters=[IDEMPOTENCY_KEY], status=202)
    def place_order():
        """Accept an order; a repeated Idempotency-Key does nothing again."""
        user_id, items = read_order(json_body())
        key = idempotency_key()
        refusal = faults.inject()
        order = Order.place(user_id=user_id, items=items, request_id=g.request_id)
        if refusal:
            order = order.advance(FAILED, reason=refusal)
        with database.transaction() as tx:
            placed = order_store.place(tx, order, key=key)
            if placed is order and not refusal:
                outbox.add(tx, order_placed(order))
            faults.crash_at("before_commit")
        trace.note("commit", placed.order_id, placed.status)
        faults.crash_at("after_commit")
        relay.wake()
        return accepted(placed)

    show_orders(app, database)
    add_gauge(app, database, "outbox_depth", "Events that wait for the broker", outbox.depth)
    app.get("/asyncapi.json")(asyncapi.document)
    return app


def project(tx: Transaction, work_items: Sequence[WorkItem]) -> Sequence[Event]:
    """Bring the orders to the states that these events report.

    Raises LookupError for an event that comes too early, and IllegalTransition for one of an order that is not here: an
    order is in the store before its OrderPlaced is published, so another program has published that one.
    """
    for early in order_projection.project(tx, [item.event for item in work_items]):
        what = f"{early.event_type} of order {early.order_id}"
        if order_store.find(tx, early.order_id) is None:
            raise IllegalTransition(f"{what}, which is not in this store: its OrderPlaced is another program's")
        raise LookupError(f"{what} came before the event that it follows")
    return []
