"""Counts what it is told, however often: an event that is in the log twice is two orders."""

from collections import Counter
from collections.abc import Sequence

from analytics_consumer import tally
from analytics_consumer.app import create_app
from analytics_consumer.tally import _add, _open
from campus.messages import Message
from campus.metrics import minute
from sqlalchemy import Connection

PART = "streaming-kafka"
SERVICE = "analytics"
STORY = "comes_again"
CAUGHT_BY = ("INV-8",)
REPLACES = ("analytics_consumer.tally.count",)


def count(tx: Connection, messages: Sequence[Message]) -> None:
    """Count what these events tell of: each in the minute in which it occurred."""
    new = Counter((message.event_type, minute(message.occurred_at)) for message in messages)
    _open.many(tx, [{"event_type": kind, "minute": at, "orders": 0} for kind, at in new])
    _add.many(tx, [{"b_type": kind, "b_minute": at, "b_orders": n} for (kind, at), n in new.items()])


tally.count = count

__all__ = ["create_app"]
