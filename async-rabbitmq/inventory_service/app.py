"""The inventory service over RabbitMQ: reserves for each OrderPlaced, and tells how it went."""

import os
from collections.abc import Mapping, Sequence

from broker.consumer import Consumer
from broker.publisher import Publisher
from broker.worker import Worker
from campus import inbox, stock
from campus.database import Database
from campus.events import INVENTORY_FAILED, INVENTORY_RESERVED, ORDER_PLACED, Event, new_event
from campus.faults import CONSUMING, Faults
from campus.loop import Loop, end_service
from campus.pruning import Pruning
from campus.retry import WorkItem
from campus.service import create_service
from campus.views import show_stock
from flask import Flask
from sqlalchemy import Connection


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the inventory service. `env` holds DATABASE_URL, RABBITMQ_URL and INITIAL_STOCK."""
    database = Database(env.get("DATABASE_URL", "sqlite:///inventory.db"), stock.metadata, inbox.metadata)
    with database.transaction() as tx:
        stock.fill(tx, env.get("INITIAL_STOCK"))
    url = env.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:8013/%2f")
    faults = Faults(CONSUMING, points=("before_commit", "after_commit", "after_publish"))
    publisher = Publisher(url, "inventory")
    consumer = Consumer(url, "inventory", "order-placed", alone=not database.is_shared, refuse=end_service)
    reserving = Loop("order-placed", lambda: worker.step(), idle=0.0, waits_until=faults.waits_until)
    pruning = Pruning(database, inbox.inbox).loop()
    app = create_service(
        "inventory",
        faults=faults,
        ready={
            "database": database.ping,
            "publisher": publisher.check,
            "consumer": consumer.check,
            "order-placed": reserving.check,
            "pruning": pruning.check,
        },
        loops=[reserving, pruning, consumer, publisher],
        closing=[database.close],
    )
    worker = Worker(
        consumer=consumer,
        publisher=publisher,
        database=database,
        faults=faults,
        expects=(ORDER_PLACED,),
        handle=reserve,
        registry=app.extensions["campus"].registry,
    )
    show_stock(app, database)
    return app


def reserve(tx: Connection, work_items: Sequence[WorkItem]) -> Sequence[Event]:
    """Reserve for each order, once, and return what to tell of it."""

    def work(item: WorkItem) -> Event:
        event = item.event
        return verdict(event, stock.reserve(tx, event.order_id, event.data["items"], refuse=item.refusal))

    return inbox.process_once(tx, work_items, work)


def verdict(placed: Event, reservation: dict) -> Event:
    """Return the event that tells of a reservation, or of why there is none."""
    about = {"request_id": placed.request_id, "at": reservation["at"]}
    if reservation["status"] == stock.RESERVED:
        return new_event(INVENTORY_RESERVED, placed.order_id, placed.data, **about)
    return new_event(INVENTORY_FAILED, placed.order_id, {"reason": reservation.get("reason", "released")}, **about)
