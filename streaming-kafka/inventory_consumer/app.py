"""The inventory service over Kafka: reserves for each OrderPlaced of the log, and publishes how it went."""

import os
from collections.abc import Mapping, Sequence

from broker import asyncapi, emitted_events, topics
from broker.transactional_consumer import TransactionalConsumer
from campus import stock
from campus.database import Database
from campus.events import Event, verdict
from campus.faults import CONSUMING, Faults
from campus.pruning import Pruning
from campus.retry import WorkItem
from campus.service import create_service
from campus.transaction import Transaction
from campus.views import show_stock
from flask import Flask
from prometheus_client import CollectorRegistry


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the inventory service. `env` holds DATABASE_URL, KAFKA_BOOTSTRAP and INITIAL_STOCK."""
    database = Database(env.get("DATABASE_URL", "sqlite:///inventory.db"), stock.metadata, emitted_events.metadata)
    with database.transaction() as tx:
        stock.fill(tx, env.get("INITIAL_STOCK"))
    faults = Faults(CONSUMING, points=("before_commit", "after_commit", "after_publish"))
    registry = CollectorRegistry()
    consumer = TransactionalConsumer(
        env.get("KAFKA_BOOTSTRAP", "127.0.0.1:8024"),
        "inventory-consumer-group",
        reads=[topics.ORDERS],
        handle=reserve,
        database=database,
        faults=faults,
        registry=registry,
    )
    pruning = Pruning(database, emitted_events.emitted_events)
    app = create_service(
        "inventory", about=__doc__, faults=faults, parts=[database, consumer, pruning], registry=registry
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
    return [work(item) for item in work_items]
