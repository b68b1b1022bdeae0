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
from sqlalchemy import Column, Connection, LargeBinary, MetaData, String, Table, bindparam, text

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

_INSERT = text(
    "INSERT INTO parked_events (order_id, event_type, body, at) VALUES (:order_id, :event_type, :body, :at) "
    "ON CONFLICT DO NOTHING"
)
_ANY = text("SELECT 1 FROM parked_events LIMIT 1")
_FIND = text("SELECT body FROM parked_events WHERE order_id IN :order_ids").bindparams(
    bindparam("order_ids", type_=String, expanding=True)
)
_DELETE = text("DELETE FROM parked_events WHERE order_id IN :order_ids").bindparams(
    bindparam("order_ids", type_=String, expanding=True)
)
_PRUNE = text("DELETE FROM parked_events WHERE at < :before")


def park(tx: Connection, events: Sequence[Event]) -> None:
    """Park these events until another one of their orders comes, and delete those that were parked for too long."""
    if events:
        now = clock.now()
        tx.execute(_PRUNE, {"before": utc_time(now - RETENTION)})
        rows = [{"order_id": e.order_id, "event_type": e.event_type, "body": e.encode()} for e in events]
        tx.execute(_INSERT, [row | {"at": utc_time(now)} for row in rows])


def unpark(tx: Connection, order_ids: Collection[str]) -> list[Event]:
    """Return the parked events of these orders, and park them no longer."""
    if tx.execute(_ANY).first() is None:
        return []
    rows = tx.execute(_FIND, {"order_ids": list(order_ids)}).all()
    if rows:
        tx.execute(_DELETE, {"order_ids": list(order_ids)})
    return [parse(row.body, INVENTORY_RESERVED, INVENTORY_FAILED, NOTIFICATION_SENT) for row in rows]
