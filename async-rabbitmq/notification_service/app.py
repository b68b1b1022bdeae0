"""The notification service over RabbitMQ: notifies the student of each InventoryReserved, and tells that it did."""

import os
from collections.abc import Mapping, Sequence

from broker.consumer import Consumer
from broker.publisher import Publisher
from broker.worker import Worker
from campus import inbox, notifications
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
    """Create the notification service. `env` holds DATABASE_URL and RABBITMQ_URL."""
    database = Database(env.get("DATABASE_URL", "sqlite:///notification.db"), notifications.metadata, inbox.metadata)
    url = env.get("RABBITMQ_URL", "amqp://guest:guest@127.0.0.1:8013/%2f")
    faults = Faults(CONSUMING, points=("before_commit", "after_commit", "after_publish"))
    publisher = Publisher(url, "notification")
    consumer = Consumer(url, "notification", "inventory-reserved", alone=not database.is_shared, refuse=end_service)
    notifying = Loop("inventory-reserved", lambda: worker.step(), idle=0.0, waits_until=faults.waits_until)
    pruning = Pruning(database, inbox.inbox).loop()
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


def notify(tx: Connection, work_items: Sequence[WorkItem]) -> Sequence[Event]:
    """Notify the student of each order, once, and return what to tell of it."""

    def work(item: WorkItem) -> Event:
        event = item.event
        if item.refusal:  # a student cannot be told no, so it is retried
            raise RuntimeError(f"the notification was refused: {item.refusal}")
        sent = notifications.send(tx, event.order_id, event.data["user_id"])
        data = {"user_id": sent["user_id"]}
        return new_event(NOTIFICATION_SENT, event.order_id, data, request_id=event.request_id, at=sent["at"])

    return inbox.process_once(tx, work_items, work)
