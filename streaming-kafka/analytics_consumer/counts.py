"""What analytics has counted, and how far it has read to count it: in one database, changed in one transaction.

Each order counts once for being placed and once for its verdict, however often the log reports it. Each function
works inside the transaction it is given; a partition is `(topic, number)`.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from typing import Any

from campus import clock
from campus.events import INVENTORY_FAILED, INVENTORY_RESERVED, ORDER_PLACED, Event
from campus.metrics import metrics, minute
from sqlalchemy import BigInteger, Column, Connection, Integer, MetaData, String, Table, bindparam, text

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

_SEEN = text("SELECT order_id, what FROM seen WHERE order_id IN :order_ids").bindparams(
    bindparam("order_ids", type_=String, expanding=True)
)
_SEE = text("INSERT INTO seen (order_id, what) VALUES (:order_id, :what)")
_COUNT = text(
    "INSERT INTO counts (event_type, minute, orders) VALUES (:event_type, :minute, :orders) "
    "ON CONFLICT (event_type, minute) DO UPDATE SET orders = counts.orders + excluded.orders"
)
_COUNTS = text("SELECT event_type, minute, orders FROM counts")
_BEGIN = text("INSERT INTO positions (topic, number, next, state_id) VALUES (:topic, :number, :next, :state_id)")
_MOVE = text("UPDATE positions SET next = :next WHERE topic = :topic AND number = :number")
_POSITIONS = text("SELECT topic, number, next, state_id FROM positions")
_FORGET = [text(f"DELETE FROM {table.name}") for table in metadata.sorted_tables]


def count(tx: Connection, events: Sequence[Event]) -> None:
    """Count what these events report, unless it was reported before: each in the minute in which it occurred."""
    known = {tuple(row) for row in tx.execute(_SEEN, {"order_ids": [event.order_id for event in events]})}
    new = {}
    for event in events:
        key = event.order_id, WHAT[event.event_type]
        if key not in known:
            new.setdefault(key, event)
    if new:
        tx.execute(_SEE, [{"order_id": order_id, "what": what} for order_id, what in new])
    add(tx, list(new.values()))


def add(tx: Connection, events: Sequence[Event]) -> None:
    """Add each of these events to the count of its type and minute."""
    orders = Counter((event.event_type, minute(event.occurred_at)) for event in events)
    if orders:
        tx.execute(_COUNT, [{"event_type": kind, "minute": at, "orders": n} for (kind, at), n in orders.items()])


def move(tx: Connection, offsets: Offsets) -> None:
    """Note the offset that is to be read next in each of these partitions."""
    tx.execute(_MOVE, [{"topic": topic, "number": number, "next": n} for (topic, number), n in offsets.items()])


def where(tx: Connection) -> tuple[str, Offsets]:
    """Return the id of this state of the counts, empty before the first, and the offsets to be read next."""
    rows = tx.execute(_POSITIONS).all()
    return rows[0].state_id if rows else "", {(row.topic, row.number): row.next for row in rows}


def begin_anew(tx: Connection, offsets: Offsets) -> str:
    """Forget every count, begin at these offsets, and return the new state's id."""
    for forget in _FORGET:
        tx.execute(forget)
    state_id = clock.random_id()
    tx.execute(
        _BEGIN,
        [{"topic": t, "number": n, "next": offset, "state_id": state_id} for (t, n), offset in offsets.items()],
    )
    return state_id


def report(tx: Connection) -> dict[str, Any]:
    """Return the metrics as they are now."""
    rows = tx.execute(_COUNTS).all()
    per_minute = {row.minute: row.orders for row in rows if row.event_type == ORDER_PLACED}
    verdicts = Counter()
    for row in rows:
        verdicts[row.event_type] += row.orders
    failed = verdicts[INVENTORY_FAILED]
    return metrics(per_minute, verdicts[INVENTORY_RESERVED] + failed, failed, now=clock.now().timestamp())
