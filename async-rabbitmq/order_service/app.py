"""The order service over RabbitMQ: `POST /order` answers when the order is safe, and the rest happens behind it."""

import os
from collections.abc import Mapping, Sequence

from broker.consumer import Consumer
from broker.publisher import Publisher
from broker.worker import Worker
from campus import order_book
from campus.background import Loop, end_service
from campus.database import Database
from campus.faults import CONSUMING, Faults
from campus.forms import read_order
from campus.frame import create_service, idempotency_key, json_body
from campus.messages import INVENTORY_FAILED, INVENTORY_RESERVED, NOTIFICATION_SENT, Message, order_placed
from campus.orders import FAILED, Order
from campus.outbox import Outbox
from campus.pages import accepted, count, show_orders
from campus.work import Task
from flask import Flask, g
from sqlalchemy import Connection

from order_service.relay import Relay

outbox = Outbox(order_book.metadata)


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the order service. `env` holds DATABASE_URL and RABBITMQ_URL."""
    database = Database(env.get("DATABASE_URL", "sqlite:///order.db"), order_book.metadata)
    url = env.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:8013/%2f")
    faults = Faults(CONSUMING, points=("before_commit", "after_commit", "after_publish"))
    publisher = Publisher(url, "order")
    # One follows at a time, so that an order's events are applied in turn; with PostgreSQL another may stand by.
    refuse = None if database.is_shared else end_service
    consumer = Consumer(url, "order", "order-status", alone=True, refuse=refuse)
    relay = Relay(database=database, outbox=outbox, publisher=publisher, faults=faults)
    relaying = Loop("relay", relay.step, idle=0.0)
    following = Loop("order-status", lambda: worker.step(), idle=0.0, waits_until=faults.waits_until)
    app = create_service(
        "order",
        faults=faults,
        ready={
            "database": database.ping,
            "publisher": publisher.check,
            "consumer": consumer.check,
            "relay": relaying.check,
            "order-status": following.check,
        },
        loops=[relaying, following, consumer, publisher],
        closing=[database.close],
    )
    worker = Worker(
        consumer=consumer,
        publisher=publisher,
        database=database,
        faults=faults,
        expects=(INVENTORY_RESERVED, INVENTORY_FAILED, NOTIFICATION_SENT),
        handle=follow,
        registry=app.extensions["campus"].registry,
        injects=False,  # this service's faults are those of POST /order
    )

    @app.post("/order")
    def place_order():
        """Accept an order; a repeated Idempotency-Key does nothing again."""
        user_id, items = read_order(json_body())
        key = idempotency_key()
        refusal = faults.inject()
        order = Order.place(user_id=user_id, items=items, request_id=g.request_id)
        with database.transaction() as tx:
            placed = order_book.place(tx, order.advance(FAILED, reason=refusal) if refusal else order, key=key)
            if placed is order:
                outbox.add(tx, order_placed(order))
            faults.crash_at("before_commit")
        faults.crash_at("after_commit")
        relay.wake()
        return accepted(placed)

    show_orders(app, database)
    count(app, database, "outbox_depth", "Events that wait for the broker", outbox.depth)
    return app


def follow(tx: Connection, tasks: Sequence[Task]) -> Sequence[Message]:
    """Bring the orders to the states that these events tell of. Raises LookupError for one that comes too early."""
    for early in order_book.follow(tx, [task.message for task in tasks]):
        raise LookupError(f"{early.event_type} of order {early.order_id} came before what it follows from")
    return []
