"""The inventory service over RabbitMQ: reserves for each OrderPlaced, and publishes how it went."""

import os
from collections.abc import Mapping, Sequence

from broker import asyncapi
from broker.worker import Worker
from campus import inbox, stock
from campus.database import Database
from campus.events import ORDER_PLACED, Event, verdict
from campus.faults import CONSUMING, Faults
from campus.pruning import Pruning
from campus.retry import WorkItem
from campus.service import create_service
from campus.transaction import Transaction
from campus.views import show_stock
from flask import Flask
from prometheus_client import CollectorRegistry


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the inventory service. `env` holds DATABASE_URL, RABBITMQ_URL and INITIAL_STOCK."""
    database = Database(env.get("DATABASE_URL", "sqlite:///inventory.db"), stock.metadata, inbox.metadata)
    with database.transaction() as tx:
        stock.fill(tx, env.get("INITIAL_STOCK"))
    faults = Faults(CONSUMING, points=("before_commit", "after_commit", "after_publish"))
    registry = CollectorRegistry()
    worker = Worker(
        env.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:8013/%2f"),
        "inventory",
        queue="order-placed",
        expects=[ORDER_PLACED],
        handle=reserve,
        database=database,
        faults=faults,
        registry=registry,
    )
    pruning = Pruning(database, inbox.inbox)
    app = create_service(
        "inventory", about=__doc__, faults=faults, parts=[database, worker, pruning], registry=registry
    )
    show_stock(app, database)
    app.get("/asyncapi.json")(asyncapi.document)
    return app


def reserve(tx: Transaction, work_items: Sequence[WorkItem]) -> Sequence[Event]:
    """Reserve for each order, once, and return the result events."""

    def work(item: WorkItem) -> Event:
        event = item.event
        return verdict(event, stock.reserve(tx, event.order_id, event.data["items"], refuse=item.refusal))

    stock.lock(tx, (item.event.data["items"] for item in work_items))
    return inbox.process_once(tx, work_items, work)
