"""The inventory service over Kafka: reserves for each OrderPlaced of the log, and tells how it went."""

import os
from collections.abc import Mapping, Sequence

from broker import emitted_events, topics
from broker.transactional_consumer import TransactionalConsumer
from campus import stock
from campus.database import Database
from campus.events import INVENTORY_FAILED, INVENTORY_RESERVED, Event, new_event
from campus.faults import CONSUMING, Faults
from campus.loop import Loop, end_service
from campus.pruning import Pruning
from campus.retry import WorkItem
from campus.service import create_service
from campus.views import show_stock
from flask import Flask
from sqlalchemy import Connection


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the inventory service. `env` holds DATABASE_URL, KAFKA_BOOTSTRAP and INITIAL_STOCK."""
    database = Database(env.get("DATABASE_URL", "sqlite:///inventory.db"), stock.metadata, emitted_events.metadata)
    with database.transaction() as tx:
        stock.fill(tx, env.get("INITIAL_STOCK"))
    faults = Faults(CONSUMING, points=("before_commit", "after_commit", "after_publish"))
    reserving = Loop(topics.ORDERS, lambda: consumer.step(), idle=0.0, waits_until=faults.waits_until)
    pruning = Pruning(database, emitted_events.emitted_events).loop()
    app = create_service(
        "inventory",
        faults=faults,
        ready={
            "database": database.ping,
            "kafka": lambda: consumer.check(),
            topics.ORDERS: reserving.check,
            "pruning": pruning.check,
        },
        loops=[reserving, pruning],
        closing=[lambda: consumer.close(), database.close],
    )
    consumer = TransactionalConsumer(
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


def reserve(tx: Connection, work_items: Sequence[WorkItem]) -> Sequence[Event]:
    """Reserve for each order, once, and return what to tell of it: the same when an order comes again."""

    def work(event: Event, refusal: str | None) -> Event:
        return verdict(event, stock.reserve(tx, event.order_id, event.data["items"], refuse=refusal))

    return [work(item.event, item.refusal) for item in work_items]


def verdict(placed: Event, reservation: dict) -> Event:
    """Return the event that tells of a reservation, or of why there is none."""
    about = {"request_id": placed.request_id, "at": reservation["at"]}
    if reservation["status"] == stock.RESERVED:
        return new_event(INVENTORY_RESERVED, placed.order_id, placed.data, **about)
    return new_event(INVENTORY_FAILED, placed.order_id, {"reason": reservation.get("reason", "released")}, **about)
