"""The notification service over Kafka: notifies the student of each InventoryReserved, and publishes that it did."""

import os
from collections.abc import Mapping, Sequence

from broker import asyncapi, emitted_events, topics
from broker.transactional_consumer import TransactionalConsumer
from campus import notifications
from campus.database import Database
from campus.events import INVENTORY_RESERVED, Event, notification_sent
from campus.faults import CONSUMING, Faults
from campus.pruning import Pruning
from campus.retry import WorkItem
from campus.service import create_service
from campus.transaction import Transaction
from campus.views import show_notifications
from flask import Flask
from prometheus_client import CollectorRegistry


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the notification service. `env` holds DATABASE_URL and KAFKA_BOOTSTRAP."""
    tables = notifications.metadata, emitted_events.metadata
    database = Database(env.get("DATABASE_URL", "sqlite:///notification.db"), *tables)
    faults = Faults(CONSUMING, points=("before_commit", "after_commit", "after_publish"))
    registry = CollectorRegistry()
    consumer = TransactionalConsumer(
        env.get("KAFKA_BOOTSTRAP", "127.0.0.1:8024"),
        "notification-consumer-group",
        reads=[topics.INVENTORY],
        handle=notify,
        database=database,
        faults=faults,
        registry=registry,
    )
    pruning = Pruning(database, emitted_events.emitted_events)
    app = create_service(
        "notification", about=__doc__, faults=faults, parts=[database, consumer, pruning], registry=registry
    )
    show_notifications(app, database)
    app.get("/asyncapi.json")(asyncapi.document)
    return app


def notify(tx: Transaction, work_items: Sequence[WorkItem]) -> Sequence[Event]:
    """Notify the student of each reserved order, once, and return the result events."""

    def work(item: WorkItem) -> Event:
        if item.refusal:  # a student cannot be told no: the message is retried
            raise RuntimeError(f"the notification was refused: {item.refusal}")
        event = item.event
        return notification_sent(event, notifications.send(tx, event.order_id, event.data["user_id"]))

    return [work(item) for item in work_items if item.event.event_type == INVENTORY_RESERVED]
