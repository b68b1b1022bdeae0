"""The order service over Kafka: `POST /order` answers when Kafka has acknowledged the event that tells of the order."""

import os
from collections.abc import Mapping, Sequence
from threading import Event

from broker import topics
from broker.producer import Producer
from broker.stream import Stream
from campus import order_book
from campus.background import Loop, end_service
from campus.database import Database
from campus.faults import CONSUMING, Faults
from campus.forms import read_order
from campus.frame import create_service, idempotency_key, json_body
from campus.messages import Message
from campus.orders import FAILED, Order
from campus.pages import accepted, show_orders
from campus.pending import RENEW_SECONDS, PendingSteps
from campus.problems import Problem
from campus.work import Task
from flask import Flask, g
from sqlalchemy import Connection

from producer_order import early
from producer_order.bulk import produce, read_bulk
from producer_order.teller import Teller

FOLLOWS_SECONDS = 2.0  # so often the log is followed at least, however much is produced


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the order service. `env` holds DATABASE_URL and KAFKA_BOOTSTRAP."""
    database = Database(env.get("DATABASE_URL", "sqlite:///order.db"), order_book.metadata)
    bootstrap = env.get("KAFKA_BOOTSTRAP", "127.0.0.1:8024")
    faults = Faults(CONSUMING, points=("before_commit", "after_commit", "after_publish"))
    producer = Producer(bootstrap)
    pending = PendingSteps(database)
    teller = Teller(database=database, pending=pending, producer=producer, faults=faults)
    connecting = Loop("producer", producer.step)
    telling = Loop("teller", teller.resolve)
    lease = Loop("lease", pending.renew, idle=RENEW_SECONDS)
    quiet = Event()  # no bulk is being produced
    quiet.set()

    def follow_on() -> bool:
        quiet.wait(FOLLOWS_SECONDS)  # many orders at once take the whole interpreter; what the log tells can wait a bit
        return stream.step()

    following = Loop("order-status", follow_on, idle=0.0)
    app = create_service(
        "order",
        faults=faults,
        ready={
            "database": database.ping,
            "producer": producer.check,
            "kafka": lambda: stream.check(),
            "order-status": following.check,
            "connecting": connecting.check,
            "teller": telling.check,
            "lease": lease.check,
        },
        loops=[lease, connecting, telling, following],
        closing=[producer.close, lambda: stream.close(), database.close],
    )
    stream = Stream(
        bootstrap=bootstrap,
        group="order-status-group",
        reads=[topics.ORDERS, topics.INVENTORY, topics.NOTIFICATIONS],
        database=database,
        faults=faults,
        handle=follow,
        registry=app.extensions["campus"].registry,
        gathers=True,
        injects=False,  # this service's faults are those of POST /order
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
        return accepted(teller.place(order, key))

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


def follow(tx: Connection, tasks: Sequence[Task]) -> Sequence[Message]:
    """Bring the orders to the states that these events tell of; an order not known yet is written down."""
    messages = [task.message for task in tasks]
    kept = early.take(tx, {message.order_id for message in messages})
    early.keep(tx, order_book.follow(tx, messages + kept))
    return []
