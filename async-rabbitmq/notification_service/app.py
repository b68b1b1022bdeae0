"""The notification service over RabbitMQ: notifies the student of each InventoryReserved, and tells that it did."""

import os
from collections.abc import Mapping, Sequence

from broker.consumer import Consumer
from broker.publisher import Publisher
from broker.worker import Worker
from campus import notices
from campus.background import Loop, end_service
from campus.database import Database
from campus.faults import CONSUMING, Faults
from campus.frame import create_service
from campus.inbox import Inbox
from campus.messages import INVENTORY_RESERVED, NOTIFICATION_SENT, Message, event
from campus.pages import show_notifications
from campus.pruning import Pruning
from campus.work import Task
from flask import Flask
from sqlalchemy import Connection

inbox = Inbox(notices.metadata)


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the notification service. `env` holds DATABASE_URL and RABBITMQ_URL."""
    database = Database(env.get("DATABASE_URL", "sqlite:///notification.db"), notices.metadata)
    url = env.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:8013/%2f")
    faults = Faults(CONSUMING, points=("before_commit", "after_commit", "after_publish"))
    publisher = Publisher(url, "notification")
    consumer = Consumer(url, "notification", "inventory-reserved", alone=not database.is_shared, refuse=end_service)
    notifying = Loop("inventory-reserved", lambda: worker.step(), idle=0.0, waits_until=faults.waits_until)
    pruning = Pruning(database, inbox.table).loop()
    app = create_service(
        "notification",
        faults=faults,
        ready={
            "database": database.ping,
            "publisher": publisher.check,
            "consumer": consumer.check,
            "inventory-reserved": notifying.check,
            "pruning": pruning.check,
        },
        loops=[notifying, pruning, consumer, publisher],
        closing=[database.close],
    )
    worker = Worker(
        consumer=consumer,
        publisher=publisher,
        database=database,
        faults=faults,
        expects=(INVENTORY_RESERVED,),
        handle=notify,
        registry=app.extensions["campus"].registry,
    )
    show_notifications(app, database)
    return app


def notify(tx: Connection, tasks: Sequence[Task]) -> Sequence[Message]:
    """Notify the student of each order, once, and return what to tell of it."""

    def work(message: Message) -> Message:
        sent = notices.send(tx, message.order_id, message.data["user_id"])
        data = {"user_id": sent["user_id"]}
        return event(NOTIFICATION_SENT, message.order_id, data, request_id=message.request_id, at=sent["at"])

    return inbox.once(tx, [task.message for task in tasks if not refused(task)], work)


def refused(task: Task) -> bool:
    """Raise when a notification is to be refused: a student cannot be told no, so it is tried again."""
    if task.refusal:
        raise RuntimeError(f"the notification was refused: {task.refusal}")
    return False
