"""Counts the events in Kafka's log by itself, to be held against what analytics reports.

It can also count as many do: by wall-clock time instead of the time in the event, or with failures at random.
Both give other numbers each time, which is what experiment C3 shows.
"""

import random
import time
from collections import Counter
from datetime import UTC, datetime
from typing import Any

from lab.brokers import kafka
from lab.services import Service

EVENT_TIME, WALL_CLOCK = "event-time", "wall-clock"


def count(service: Service, *, by: str = EVENT_TIME, fail: float = 0.0, seed: int | None = None) -> dict[str, Any]:
    """Return the metrics of what is in the log now, each order counted once. Raises LabError."""
    from campus.events import INVENTORY_FAILED, INVENTORY_RESERVED, ORDER_PLACED, InvalidEvent, parse
    from campus.metrics import metrics, minute

    expected = {kafka.PLACED: (ORDER_PLACED,), kafka.RESERVED: (INVENTORY_RESERVED, INVENTORY_FAILED)}
    placed: dict[str, str] = {}  # order → when
    verdicts: dict[str, str] = {}  # order → which
    for record in kafka.read_all(service, list(expected)):
        try:
            message = parse(record.value or b"", *expected[record.topic])
        except InvalidEvent:
            continue
        if record.topic == kafka.PLACED:
            placed.setdefault(message.order_id, minute(message.occurred_at) if by == EVENT_TIME else _this_second())
        else:
            verdicts.setdefault(message.order_id, message.event_type)
    lost = _lost(placed, fail, seed)
    orders = Counter(when for order, when in placed.items() if order not in lost)
    kept = [verdict for order, verdict in verdicts.items() if order not in lost]
    return metrics(orders, len(kept), kept.count(INVENTORY_FAILED), now=time.time())


def _lost(orders: dict[str, str], share: float, seed: int | None) -> set[str]:
    chance = random.Random(seed)
    return {order for order in sorted(orders) if chance.random() < share}


def _this_second() -> str:
    return datetime.now(UTC).isoformat(timespec="seconds")[:19]
