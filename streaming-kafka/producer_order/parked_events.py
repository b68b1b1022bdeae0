"""Events that were read before the event that they follow from: topics and partitions are read side by side, in no
common order.

Each is parked in the database until another event of its order is read. One whose order has not come for as long as
Kafka keeps events is deleted: the event that it waits for is not in the log any more.
"""

from collections.abc import Collection, Sequence
from datetime import timedelta

from campus import clock
from campus.events import INVENTORY_FAILED, INVENTORY_RESERVED, NOTIFICATION_SENT, Event, parse
from campus.orders import utc_time
from campus.transaction import Transaction
from sqlalchemy import Column, LargeBinary, MetaData, String, Table

RETENTION = timedelta(days=7)  # Kafka's log.retention.hours, which is 168 unless it is set

metadata = MetaData()
parked_events = Table(
    "parked_events",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("event_type", String(32), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("at", String(32), nullable=False, index=True),
)

_INSERT = (
    "INSERT INTO parked_events (order_id, event_type, body, at) VALUES (:order_id, :event_type, :body, :at) "
    "ON CONFLICT DO NOTHING"
)
_ANY = "SELECT 1 FROM parked_events LIMIT 1"
_FIND = "SELECT body FROM parked_events WHERE order_id IN :order_ids"
_DELETE = "DELETE FROM parked_events WHERE order_id IN :order_ids"
_PRUNE = "DELETE FROM parked_events WHERE at < :before"


def park(tx: Transaction, events: Sequence[Event]) -> None:
    """Park these events until another one of their orders comes, and delete those that were parked for too long."""
    if events:
        now = clock.now()
        tx.execute(_PRUNE, {"before": utc_time(now - RETENTION)})
        rows = [{"order_id": e.order_id, "event_type": e.event_type, "body": e.encode()} for e in events]
        tx.executemany(_INSERT, [row | {"at": utc_time(now)} for row in rows])


def unpark(tx: Transaction, order_ids: Collection[str]) -> list[Event]:
    """Return the parked events of these orders, and park them no longer."""
    if tx.execute(_ANY).fetchone() is None:
        return []
    rows = tx.execute(_FIND, {"order_ids": list(order_ids)}).fetchall()
    if rows:
        tx.execute(_DELETE, {"order_ids": list(order_ids)})
    return [parse(body, INVENTORY_RESERVED, INVENTORY_FAILED, NOTIFICATION_SENT) for (body,) in rows]
