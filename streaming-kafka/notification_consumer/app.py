"""The notification service over Kafka: notifies the student of each InventoryReserved, and tells that it did."""

import os
from collections.abc import Mapping, Sequence

from broker import topics
from broker.stream import Stream
from broker.told import told
from campus import notices
from campus.background import Loop, end_service
from campus.database import Database
from campus.faults import CONSUMING, Faults
from campus.frame import create_service
from campus.messages import INVENTORY_RESERVED, NOTIFICATION_SENT, Message, event
from campus.pages import show_notifications
from campus.pruning import Pruning
from campus.work import Task
from flask import Flask
from sqlalchemy import Connection


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the notification service. `env` holds DATABASE_URL and KAFKA_BOOTSTRAP."""
    database = Database(env.get("DATABASE_URL", "sqlite:///notification.db"), notices.metadata)
    faults = Faults(CONSUMING, points=("before_commit", "after_commit", "after_publish"))
    notifying = Loop(topics.INVENTORY, lambda: stream.step(), idle=0.0, waits_until=faults.waits_until)
    pruning = Pruning(database, told).loop()
    app = create_service(
        "notification",
        faults=faults,
        ready={
            "database": database.ping,
            "kafka": lambda: stream.check(),
            topics.INVENTORY: notifying.check,
            "pruning": pruning.check,
        },
        loops=[notifying, pruning],
        closing=[lambda: stream.close(), database.close],
    )
    stream = Stream(
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


def notify(tx: Connection, tasks: Sequence[Task]) -> Sequence[Message]:
    """Notify the student of each reserved order, once, and return what to tell of it."""
    return [sent(tx, task) for task in tasks if task.message.event_type == INVENTORY_RESERVED]


def sent(tx: Connection, task: Task) -> Message:
    """Notify one student. Raises when that is to be refused: a student cannot be told no, so it is tried again."""
    if task.refusal:
        raise RuntimeError(f"the notification was refused: {task.refusal}")
    message = task.message
    row = notices.send(tx, message.order_id, message.data["user_id"])
    data = {"user_id": row["user_id"]}
    return event(NOTIFICATION_SENT, message.order_id, data, request_id=message.request_id, at=row["at"])
