"""The inventory service over Kafka: reserves for each OrderPlaced of the log, and tells how it went."""

import os
from collections.abc import Mapping, Sequence

from broker import topics
from broker.stream import Stream
from broker.told import told
from campus import stock
from campus.background import Loop, end_service
from campus.database import Database
from campus.faults import CONSUMING, Faults
from campus.frame import create_service
from campus.messages import INVENTORY_FAILED, INVENTORY_RESERVED, Message, event
from campus.pages import show_stock
from campus.pruning import Pruning
from campus.work import Task
from flask import Flask
from sqlalchemy import Connection


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the inventory service. `env` holds DATABASE_URL, KAFKA_BOOTSTRAP and INITIAL_STOCK."""
    database = Database(env.get("DATABASE_URL", "sqlite:///inventory.db"), stock.metadata)
    with database.transaction() as tx:
        stock.fill(tx, env.get("INITIAL_STOCK"))
    faults = Faults(CONSUMING, points=("before_commit", "after_commit", "after_publish"))
    reserving = Loop(topics.ORDERS, lambda: stream.step(), idle=0.0, waits_until=faults.waits_until)
    pruning = Pruning(database, told).loop()
    app = create_service(
        "inventory",
        faults=faults,
        ready={
            "database": database.ping,
            "kafka": lambda: stream.check(),
            topics.ORDERS: reserving.check,
            "pruning": pruning.check,
        },
        loops=[reserving, pruning],
        closing=[lambda: stream.close(), database.close],
    )
    stream = Stream(
        bootstrap=env.get("KAFKA_BOOTSTRAP", "127.0.0.1:8024"),
        group="inventory-consumer-group",
        reads=[topics.ORDERS],
        database=database,
        faults=faults,
        handle=reserve,
        registry=app.extensions["campus"].registry,
        alone=not database.is_shared,
        refuse=end_service,
    )
    show_stock(app, database)
    return app


def reserve(tx: Connection, tasks: Sequence[Task]) -> Sequence[Message]:
    """Reserve for each order, once, and return what to tell of it: the same when an order comes again."""

    def work(message: Message, refusal: str | None) -> Message:
        return verdict(message, stock.reserve(tx, message.order_id, message.data["items"], refuse=refusal))

    return [work(task.message, task.refusal) for task in tasks]


def verdict(placed: Message, reservation: dict) -> Message:
    """Return the event that tells of a reservation, or of why there is none."""
    about = {"request_id": placed.request_id, "at": reservation["at"]}
    if reservation["status"] == stock.RESERVED:
        return event(INVENTORY_RESERVED, placed.order_id, placed.data, **about)
    return event(INVENTORY_FAILED, placed.order_id, {"reason": reservation.get("reason", "released")}, **about)
