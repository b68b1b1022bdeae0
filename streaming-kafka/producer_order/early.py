"""Events that were read before what they follow from: topics and partitions are read side by side, in no common order.

Each waits in the database until another event of its order is read. One whose order has not come for as long as Kafka
keeps events is deleted: what it waits for is not in the log any more.
"""

from collections.abc import Collection, Sequence
from datetime import UTC, datetime, timedelta

from campus import order_book
from campus.database import InsertIfAbsent, ReadMany, Write
from campus.messages import INVENTORY_FAILED, INVENTORY_RESERVED, NOTIFICATION_SENT, Message, read
from campus.orders import utc_time
from sqlalchemy import Column, Connection, LargeBinary, String, Table, bindparam, delete, select

RETENTION = timedelta(days=7)  # Kafka's log.retention.hours, which is 168 unless it is set

early_events = Table(
    "early_events",
    order_book.metadata,
    Column("order_id", String(64), primary_key=True),
    Column("event_type", String(32), primary_key=True),
    Column("body", LargeBinary, nullable=False),
    Column("at", String(32), nullable=False, index=True),
)

_insert = InsertIfAbsent(early_events)
_any = select(early_events.c.order_id).limit(1)
_of_orders = ReadMany(early_events.c.order_id, [early_events.c.order_id, early_events.c.body])
_delete = Write(delete(early_events).where(early_events.c.order_id == bindparam("b_order")))
_prune = Write(delete(early_events).where(early_events.c.at < bindparam("b_before")))


def keep(tx: Connection, messages: Sequence[Message]) -> None:
    """Keep these events until another one of their orders comes, and delete those that were kept for too long."""
    if messages:
        now = datetime.now(UTC)
        _prune(tx, {"b_before": utc_time(now - RETENTION)})
        kept = {"at": utc_time(now)}
        rows = [{"order_id": m.order_id, "event_type": m.event_type, "body": m.encode()} | kept for m in messages]
        _insert.many(tx, rows)


def take(tx: Connection, order_ids: Collection[str]) -> list[Message]:
    """Return the events of these orders that were kept, and keep them no longer."""
    if tx.execute(_any).first() is None:
        return []
    rows = _of_orders(tx, order_ids)
    _delete.many(tx, [{"b_order": order_id} for order_id, _ in rows])
    return [read(body, INVENTORY_RESERVED, INVENTORY_FAILED, NOTIFICATION_SENT) for _, body in rows]
