"""The order service over Kafka: `POST /order` answers when Kafka has acknowledged the event that tells of the order."""

import os
import threading
from collections.abc import Mapping, Sequence

from broker import topics
from broker.producer import Producer
from broker.transactional_consumer import TransactionalConsumer
from campus import order_projection, order_store, pending
from campus.database import Database
from campus.events import Event
from campus.faults import CONSUMING, Faults
from campus.loop import Loop, end_service
from campus.orders import FAILED, Order
from campus.pending import RENEW_SECONDS, PendingSteps
from campus.problems import Problem
from campus.retry import WorkItem
from campus.schemas import read_order
from campus.service import create_service, idempotency_key, json_body
from campus.views import accepted, show_orders
from flask import Flask, g
from sqlalchemy import Connection

from producer_order import parked_events
from producer_order.bulk import produce, read_bulk
from producer_order.order_publisher import OrderPublisher

FOLLOWS_SECONDS = 2.0  # so often the log is followed at least, however much is produced


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the order service. `env` holds DATABASE_URL and KAFKA_BOOTSTRAP."""
    database = Database(
        env.get("DATABASE_URL", "sqlite:///order.db"), order_store.metadata, pending.metadata, parked_events.metadata
    )
    bootstrap = env.get("KAFKA_BOOTSTRAP", "127.0.0.1:8024")
    faults = Faults(CONSUMING, points=("before_commit", "after_commit", "after_publish"))
    producer = Producer(bootstrap)
    steps = PendingSteps(database)
    order_publisher = OrderPublisher(database=database, pending=steps, producer=producer, faults=faults)
    connecting = Loop("producer", producer.step)
    publishing = Loop("order-publisher", order_publisher.recover)
    lease = Loop("lease", steps.renew, idle=RENEW_SECONDS)
    quiet = threading.Event()  # no bulk is being produced
    quiet.set()

    def project_log() -> bool:
        quiet.wait(FOLLOWS_SECONDS)  # many orders at once take the whole interpreter; what the log tells can wait a bit
        return consumer.step()

    projecting = Loop("order-status", project_log, idle=0.0)
    app = create_service(
        "order",
        faults=faults,
        ready={
            "database": database.ping,
            "producer": producer.check,
            "kafka": lambda: consumer.check(),
            "order-status": projecting.check,
            "connecting": connecting.check,
            "order-publisher": publishing.check,
            "lease": lease.check,
        },
        loops=[lease, connecting, publishing, projecting],
        closing=[producer.close, lambda: consumer.close(), database.close],
    )
    consumer = TransactionalConsumer(
        bootstrap=bootstrap,
        group="order-status-group",
        reads=[topics.ORDERS, topics.INVENTORY, topics.NOTIFICATIONS],
        database=database,
        faults=faults,
        handle=project,
        registry=app.extensions["campus"].registry,
        batch_fetches=True,
        injects_faults=False,  # this service's faults are those of POST /order
        alone=True,  # what it writes down of one order must come one after the other
        refuse=None if database.is_shared else end_service,
    )

    @app.post("/order")
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
    def place_orders():
        """Accept many orders: a list of them, the same one so many times, or so many drawn from a seed."""
        wanted = read_bulk(json_body())
        if faults.inject():
            raise Problem(409, "injected", "The orders were refused.")
        quiet.clear()
        try:
            return produce(producer, wanted, g.request_id), 202
        finally:
            quiet.set()

    show_orders(app, database)
    return app


def project(tx: Connection, work_items: Sequence[WorkItem]) -> Sequence[Event]:
    """Bring the orders to the states that these events tell of; an order not known yet is written down."""
    events = [item.event for item in work_items]
    parked = parked_events.unpark(tx, {event.order_id for event in events})
    parked_events.park(tx, order_projection.project(tx, events + parked))
    return []
