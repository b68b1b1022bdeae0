"""What analytics has counted, and how far it has read to count it: in one database, changed in one transaction.

Each order counts once for being placed and once for its verdict, however often the log tells of it. Each function
works inside the transaction it is given; a partition is `(topic, number)`.
"""

import time
import uuid
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from campus.database import InsertIfAbsent, Write
from campus.events import INVENTORY_FAILED, INVENTORY_RESERVED, ORDER_PLACED, Event
from campus.metrics import metrics, minute
from sqlalchemy import (
    BigInteger,
    Column,
    Connection,
    Integer,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    select,
    update,
)

WHAT = {ORDER_PLACED: "placed", INVENTORY_RESERVED: "verdict", INVENTORY_FAILED: "verdict"}

Offsets = Mapping[Any, int]  # by (topic, number)

metadata = MetaData()
seen = Table(
    "seen",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("what", String(16), primary_key=True),
    sqlite_with_rowid=False,  # the key is the table: one page to write instead of two
)
counts = Table(
    "counts",
    metadata,
    Column("event_type", String(32), primary_key=True),
    Column("minute", String(16), primary_key=True),
    Column("orders", BigInteger, nullable=False),
)
positions = Table(
    "positions",
    metadata,
    Column("topic", String(64), primary_key=True),
    Column("number", Integer, primary_key=True),
    Column("next", BigInteger, nullable=False),
    Column("state_id", String(36), nullable=False),
)

_see = InsertIfAbsent(seen)
_open = InsertIfAbsent(counts)
_add = Write(
    update(counts)
    .where(counts.c.event_type == bindparam("b_type"), counts.c.minute == bindparam("b_minute"))
    .values(orders=counts.c.orders + bindparam("b_orders", type_=BigInteger))
)
_place = InsertIfAbsent(positions)
_move = Write(
    update(positions)
    .where(positions.c.topic == bindparam("b_topic"), positions.c.number == bindparam("b_number"))
    .values(next=bindparam("b_next"))
)
_wipe = [Write(delete(table)) for table in metadata.sorted_tables]


def count(tx: Connection, events: Sequence[Event]) -> None:
    """Count what these events tell of, unless it was told before: each in the minute in which it occurred."""
    new = Counter(
        (event.event_type, minute(event.occurred_at))
        for event in events
        if _see(tx, {"what": WHAT[event.event_type], "order_id": event.order_id})
    )
    _open.many(tx, [{"event_type": kind, "minute": at, "orders": 0} for kind, at in new])
    _add.many(tx, [{"b_type": kind, "b_minute": at, "b_orders": n} for (kind, at), n in new.items()])


def move(tx: Connection, offsets: Offsets) -> None:
    """Note the offset that is to be read next in each of these partitions."""
    _move.many(tx, [{"b_topic": topic, "b_number": number, "b_next": n} for (topic, number), n in offsets.items()])


def where(tx: Connection) -> tuple[str, Offsets]:
    """Return the id of this state of the counts, empty before the first, and the offsets to be read next."""
    rows = tx.execute(select(positions)).all()
    return rows[0].state_id if rows else "", {(row.topic, row.number): row.next for row in rows}


def begin_anew(tx: Connection, offsets: Offsets) -> str:
    """Forget every count, begin at these offsets, and return the new state's id."""
    for wipe in _wipe:
        wipe(tx, {})
    state_id = str(uuid.uuid4())
    rows = [{"topic": t, "number": n, "next": offset, "state_id": state_id} for (t, n), offset in offsets.items()]
    _place.many(tx, rows)
    return state_id


def report(tx: Connection) -> dict[str, Any]:
    """Return the metrics as they are now."""
    rows = tx.execute(select(counts)).all()
    per_minute = {row.minute: row.orders for row in rows if row.event_type == ORDER_PLACED}
    verdicts = Counter()
    for row in rows:
        verdicts[row.event_type] += row.orders
    failed = verdicts[INVENTORY_FAILED]
    return metrics(per_minute, verdicts[INVENTORY_RESERVED] + failed, failed, now=time.time())
