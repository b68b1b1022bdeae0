"""Duplicates remembered in memory only: a set of the events that were seen, which a restart empties."""

from collections.abc import Sequence

from campus import stock
from campus.events import Event, verdict
from campus.orders import utc_now
from campus.retry import WorkItem
from campus.transaction import Transaction
from inventory_service import app
from inventory_service.app import create_app

PART = "async-rabbitmq"
SERVICE = "inventory"
STORY = "comes_again"
CAUGHT_BY = ("INV-3",)
REPLACES = ("inventory_service.app.reserve",)

seen: set[str] = set()


def reserve(tx: Transaction, work_items: Sequence[WorkItem]) -> Sequence[Event]:
    """Reserve for each order, once, and return its result event."""
    results = []
    for item in work_items:
        event = item.event
        if event.event_id in seen:
            continue
        seen.add(event.event_id)
        reason = item.refusal or stock._take_all(tx, event.data["items"])
        status = stock.FAILED if reason else stock.RESERVED
        reservation = {"order_id": event.order_id, "items": event.data["items"], "at": utc_now()}
        reservation |= {"status": status, "reason": reason}
        stock._claim(tx, reservation)
        results.append(verdict(event, reservation))
    return results


app.reserve = reserve

__all__ = ["create_app"]
