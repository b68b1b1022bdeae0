"""Duplicates remembered in memory only: a set of the events that were seen, which a restart empties."""

from collections.abc import Sequence

from campus import stock
from campus.messages import Message
from campus.orders import utc_now
from campus.work import Task
from inventory_service import app
from inventory_service.app import create_app, verdict
from sqlalchemy import Connection

PART = "async-rabbitmq"
SERVICE = "inventory"
STORY = "comes_again"
CAUGHT_BY = ("INV-3",)
REPLACES = ("inventory_service.app.reserve",)

seen: set[str] = set()


def reserve(tx: Connection, tasks: Sequence[Task]) -> Sequence[Message]:
    """Reserve for each order, once, and return what to tell of it."""
    told = []
    for task in tasks:
        message = task.message
        if message.event_id in seen:
            continue
        seen.add(message.event_id)
        reason = task.refusal or stock._take_all(tx, message.data["items"])
        status = stock.FAILED if reason else stock.RESERVED
        row = {"order_id": message.order_id, "items": message.data["items"], "at": utc_now()}
        row |= {"status": status, "reason": reason}
        if not stock._claim(tx, row):
            stock._set_status(tx, row)
        told.append(verdict(message, row))
    return told


app.reserve = reserve

__all__ = ["create_app"]
