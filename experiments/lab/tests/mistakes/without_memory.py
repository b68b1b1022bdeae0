"""A consumer does not remember what it has emitted: an order that is in the log twice has two results."""

from collections.abc import Mapping, Sequence

from broker import emitted_events
from campus.events import Event
from campus.transaction import Transaction
from inventory_consumer.app import create_app

PART = "streaming-kafka"
SERVICE = "inventory"
STORY = "comes_again"
CAUGHT_BY = ("LOG-1",)
REPLACES = ("broker.emitted_events.emit_once",)


def emit_once(tx: Transaction, events: Sequence[Event], causation_ids: Mapping[str, str]) -> list[Event]:
    """Return all events."""
    return list(events)


emitted_events.emit_once = emit_once

__all__ = ["create_app"]
