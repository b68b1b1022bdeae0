"""The notification service over Kafka: notifies the student of each InventoryReserved, and tells that it did."""

import os
from collections.abc import Mapping, Sequence

from broker import emitted_events, topics
from broker.transactional_consumer import TransactionalConsumer
from campus import notifications
from campus.database import Database
from campus.events import INVENTORY_RESERVED, NOTIFICATION_SENT, Event, new_event
from campus.faults import CONSUMING, Faults
from campus.loop import Loop, end_service
from campus.pruning import Pruning
from campus.retry import WorkItem
from campus.service import create_service
from campus.views import show_notifications
from flask import Flask
from sqlalchemy import Connection


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the notification service. `env` holds DATABASE_URL and KAFKA_BOOTSTRAP."""
    database = Database(
        env.get("DATABASE_URL", "sqlite:///notification.db"), notifications.metadata, emitted_events.metadata
    )
    faults = Faults(CONSUMING, points=("before_commit", "after_commit", "after_publish"))
    notifying = Loop(topics.INVENTORY, lambda: consumer.step(), idle=0.0, waits_until=faults.waits_until)
    pruning = Pruning(database, emitted_events.emitted_events).loop()
    app = create_service(
        "notification",
        faults=faults,
        ready={
            "database": database.ping,
            "kafka": lambda: consumer.check(),
            topics.INVENTORY: notifying.check,
            "pruning": pruning.check,
        },
        loops=[notifying, pruning],
        closing=[lambda: consumer.close(), database.close],
    )
    consumer = TransactionalConsumer(
        bootstrap=env.get("KAFKA_BOOTSTRAP", "127.0.0.1:8024"),
        group="notification-consumer-group",
        reads=[topics.INVENTORY],
        database=database,
        faults=faults,
        handle=notify,
        registry=app.extensions["campus"].registry,
        alone=not database.is_shared,
        refuse=end_service,
    )
    show_notifications(app, database)
    return app


def notify(tx: Connection, work_items: Sequence[WorkItem]) -> Sequence[Event]:
    """Notify the student of each reserved order, once, and return what to tell of it."""
    return [sent(tx, item) for item in work_items if item.event.event_type == INVENTORY_RESERVED]


def sent(tx: Connection, item: WorkItem) -> Event:
    """Notify one student. Raises when that is to be refused: a student cannot be told no, so it is tried again."""
    if item.refusal:
        raise RuntimeError(f"the notification was refused: {item.refusal}")
    event = item.event
    row = notifications.send(tx, event.order_id, event.data["user_id"])
    data = {"user_id": row["user_id"]}
    return new_event(NOTIFICATION_SENT, event.order_id, data, request_id=event.request_id, at=row["at"])
