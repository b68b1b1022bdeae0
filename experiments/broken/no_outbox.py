"""Publish without an outbox: the order is committed, and its event waits in memory until it is published."""

from campus import outbox
from campus.events import Event
from campus.transaction import Transaction
from order_service.app import create_app

PART = "async-rabbitmq"
SERVICE = "order"
STORY = "order_dies"
CAUGHT_BY = ("INV-1",)
REPLACES = (
    "campus.outbox.add",
    "campus.outbox.oldest",
    "campus.outbox.remove",
    "campus.outbox.depth",
)

waiting: dict[str, Event] = {}


def add(tx: Transaction, event: Event) -> None:
    """Keep an event until it is published."""
    waiting[event.event_id] = event


def oldest(tx: Transaction, limit: int) -> list[tuple[str, str, bytes]]:
    """Return `(event_id, event_type, body)` of the events that wait longest."""
    return [(m.event_id, m.event_type, m.encode()) for m in list(waiting.values())[:limit]]


def remove(tx: Transaction, event_ids: list[str]) -> None:
    """Take out what the broker has confirmed."""
    for event_id in event_ids:
        del waiting[event_id]


def depth(tx: Transaction) -> int:
    """Return how many events wait."""
    return len(waiting)


outbox.add, outbox.oldest, outbox.remove, outbox.depth = add, oldest, remove, depth

__all__ = ["create_app"]
