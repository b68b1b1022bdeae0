"""Events that were read before what they follow from: topics and partitions are read side by side, in no common order.

Each waits in the database until another event of its order is read. One whose order has not come for as long as Kafka
keeps events is deleted: what it waits for is not in the log any more.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from campus import order_store
from campus.database import InsertIfAbsent, ReadMany, Write
from campus.events import INVENTORY_FAILED, INVENTORY_RESERVED, NOTIFICATION_SENT, Event, parse
from campus.orders import utc_time
from sqlalchemy import Column, Connection, LargeBinary, String, Table, bindparam, delete, select

RETENTION = timedelta(days=7)  # Kafka's log.retention.hours, which is 168 unless it is set

parked_events = Table(
    "parked_events",
    order_store.metadata,
    Column("order_id", String(64), primary_key=True),
    Column("event_type", String(32), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("at", String(32), nullable=False, index=True),
)

_insert = InsertIfAbsent(parked_events)
_any = select(parked_events.c.order_id).limit(1)
_of_orders = ReadMany(parked_events.c.order_id, [parked_events.c.order_id, parked_events.c.body])
_delete = Write(delete(parked_events).where(parked_events.c.order_id == bindparam("b_order")))
_prune = Write(delete(parked_events).where(parked_events.c.at < bindparam("b_before")))


def park(tx: Connection, events: Sequence[Event]) -> None:
    """Keep these events until another one of their orders comes, and delete those that were kept for too long."""
    if events:
        now = datetime.now(UTC)
        _prune(tx, {"b_before": utc_time(now - RETENTION)})
        parked = {"at": utc_time(now)}
        rows = [{"order_id": m.order_id, "event_type": m.event_type, "body": m.encode()} | parked for m in events]
        _insert.many(tx, rows)


def unpark(tx: Connection, order_ids: Collection[str]) -> list[Event]:
    """Return the events of these orders that were kept, and keep them no longer."""
    if tx.execute(_any).first() is None:
        return []
    rows = _of_orders(tx, order_ids)
    _delete.many(tx, [{"b_order": order_id} for order_id, _ in rows])
    return [parse(body, INVENTORY_RESERVED, INVENTORY_FAILED, NOTIFICATION_SENT) for _, body in rows]
