"""Counts what it is told, however often: an event that is in the log twice is two orders."""

from collections.abc import Sequence

from analytics_consumer import counts
from analytics_consumer.app import create_app
from campus.events import Event
from campus.transaction import Transaction

PART = "streaming-kafka"
SERVICE = "analytics"
STORY = "comes_again"
CAUGHT_BY = ("INV-8",)
REPLACES = ("analytics_consumer.counts.count",)


def count(tx: Transaction, events: Sequence[Event]) -> None:
    """Count what these events report: each in the minute in which it occurred."""
    counts.add(tx, events)


counts.count = count

__all__ = ["create_app"]
