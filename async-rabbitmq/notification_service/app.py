"""The notification service over RabbitMQ: notifies the student of each InventoryReserved, and publishes that it did."""

import os
from collections.abc import Mapping, Sequence

from broker import asyncapi
from broker.worker import Worker
from campus import inbox, notifications
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
    """Create the notification service. `env` holds DATABASE_URL and RABBITMQ_URL."""
    database = Database(env.get("DATABASE_URL", "sqlite:///notification.db"), notifications.metadata, inbox.metadata)
    faults = Faults(CONSUMING, points=("before_commit", "after_commit", "after_publish"))
    registry = CollectorRegistry()
    worker = Worker(
        env.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:8013/%2f"),
        "notification",
        queue="inventory-reserved",
        expects=[INVENTORY_RESERVED],
        handle=notify,
        database=database,
        faults=faults,
        registry=registry,
    )
    pruning = Pruning(database, inbox.inbox)
    app = create_service(
        "notification", about=__doc__, faults=faults, parts=[database, worker, pruning], registry=registry
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

    return inbox.process_once(tx, work_items, work)
