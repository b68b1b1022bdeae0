"""Counts what it is told, however often: an event that is in the log twice is two orders."""

from collections import Counter
from collections.abc import Sequence

from analytics_consumer import counts
from analytics_consumer.app import create_app
from analytics_consumer.counts import _add, _open
from campus.events import Event
from campus.metrics import minute
from sqlalchemy import Connection

PART = "streaming-kafka"
SERVICE = "analytics"
STORY = "comes_again"
CAUGHT_BY = ("INV-8",)
REPLACES = ("analytics_consumer.counts.count",)


def count(tx: Connection, events: Sequence[Event]) -> None:
    """Count what these events tell of: each in the minute in which it occurred."""
    new = Counter((event.event_type, minute(event.occurred_at)) for event in events)
    _open.many(tx, [{"event_type": kind, "minute": at, "orders": 0} for kind, at in new])
    _add.many(tx, [{"b_type": kind, "b_minute": at, "b_orders": n} for (kind, at), n in new.items()])


counts.count = count

__all__ = ["create_app"]
