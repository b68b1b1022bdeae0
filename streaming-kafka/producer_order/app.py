"""The order service over Kafka: `POST /order` answers when Kafka has acknowledged the event of the order."""

import os
from collections.abc import Mapping, Sequence

from broker import asyncapi, topics
from broker.producer import Producer
from broker.transactional_consumer import TransactionalConsumer
from campus import order_projection, order_store, pending
from campus.database import Database
from campus.events import Event
from campus.faults import CONSUMING, Faults
from campus.openapi import IDEMPOTENCY_KEY, takes
from campus.orders import FAILED, Order
from campus.pending import PendingSteps
from campus.problems import Problem
from campus.retry import WorkItem
from campus.schemas import ORDER_FORMS, read_order
from campus.service import accepted, create_service, idempotency_key, json_body
from campus.transaction import Transaction
from campus.views import show_orders
from flask import Flask, g
from prometheus_client import CollectorRegistry

from producer_order import parked_events
from producer_order.bulk import BULK_FORMS, produce, read_bulk
from producer_order.order_publisher import OrderPublisher


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the order service. `env` holds DATABASE_URL and KAFKA_BOOTSTRAP."""
    tables = order_store.metadata, pending.metadata, parked_events.metadata
    database = Database(env.get("DATABASE_URL", "sqlite:///order.db"), *tables)
    bootstrap = env.get("KAFKA_BOOTSTRAP", "127.0.0.1:8024")
    faults = Faults(CONSUMING, points=("before_commit", "after_commit", "after_publish"))
    registry = CollectorRegistry()
    steps = PendingSteps(database)
    producer = Producer(bootstrap)
    order_publisher = OrderPublisher(database=database, pending=steps, producer=producer, faults=faults)
    consumer = TransactionalConsumer(
        bootstrap,
        "order-status-group",
        reads=[topics.ORDERS, topics.INVENTORY, topics.NOTIFICATIONS],
        handle=project,
        database=database,
        faults=faults,
        registry=registry,
        injects_faults=False,  # this service's faults are those of POST /order
        batch_fetches=True,
        one_at_a_time=True,  # so that an order's events are applied in turn
    )
    parts = [database, steps, producer, order_publisher, consumer]
    app = create_service("order", about=__doc__, faults=faults, parts=parts, registry=registry)

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
        return accepted(order_publisher.place(order, key))

    @app.post("/orders/bulk")
    @takes(*BULK_FORMS, status=202)
    def place_orders():
        """Accept many orders: a list of them, the same one so many times, or so many drawn from a seed."""
        wanted = read_bulk(json_body())
        if faults.inject():
            raise Problem(409, "injected", "The orders were refused.")
        return produce(producer, wanted, g.request_id), 202

    show_orders(app, database)
    app.get("/asyncapi.json")(asyncapi.document)
    return app


def project(tx: Transaction, work_items: Sequence[WorkItem]) -> Sequence[Event]:
    """Bring the orders to the states that these events report; an order that is not in the store yet is written."""
    events = [item.event for item in work_items]
    parked = parked_events.unpark(tx, {event.order_id for event in events})
    parked_events.park(tx, order_projection.project(tx, events + parked))
    return []
