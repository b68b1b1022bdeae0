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
from campus.transaction import Transaction
from sqlalchemy import BigInteger, Column, Integer, MetaData, String, Table

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

_SEEN = "SELECT order_id, what FROM seen WHERE order_id IN :order_ids"
_SEE = "INSERT INTO seen (order_id, what) VALUES (:order_id, :what)"
_COUNT = (
    "INSERT INTO counts (event_type, minute, orders) VALUES (:event_type, :minute, :orders) "
    "ON CONFLICT (event_type, minute) DO UPDATE SET orders = counts.orders + excluded.orders"
)
_COUNTS = "SELECT event_type, minute, orders FROM counts"
_BEGIN = "INSERT INTO positions (topic, number, next, state_id) VALUES (:topic, :number, :next, :state_id)"
_MOVE = "UPDATE positions SET next = :next WHERE topic = :topic AND number = :number"
_POSITIONS = "SELECT topic, number, next, state_id FROM positions"
_FORGET = [f"DELETE FROM {table.name}" for table in metadata.sorted_tables]


def count(tx: Transaction, events: Sequence[Event]) -> None:
    """Count what these events report, unless it was reported before: each in the minute in which it occurred."""
    known = set(tx.execute(_SEEN, {"order_ids": [event.order_id for event in events]}))
    new = {}
    for event in events:
        key = event.order_id, WHAT[event.event_type]
        if key not in known:
            new.setdefault(key, event)
    tx.executemany(_SEE, [{"order_id": order_id, "what": what} for order_id, what in new])
    add(tx, list(new.values()))


def add(tx: Transaction, events: Sequence[Event]) -> None:
    """Add each of these events to the count of its type and minute."""
    orders = Counter((event.event_type, minute(event.occurred_at)) for event in events)
    tx.executemany(_COUNT, [{"event_type": kind, "minute": at, "orders": n} for (kind, at), n in orders.items()])


def move(tx: Transaction, offsets: Offsets) -> None:
    """Note the offset that is to be read next in each of these partitions."""
    tx.executemany(_MOVE, [{"topic": topic, "number": number, "next": n} for (topic, number), n in offsets.items()])


def where(tx: Transaction) -> tuple[str, Offsets]:
    """Return the id of this state of the counts, empty before the first, and the offsets to be read next."""
    rows = tx.execute(_POSITIONS).fetchall()
    state_id = rows[0][3] if rows else ""
    return state_id, {(topic, number): offset for topic, number, offset, _ in rows}


def begin_anew(tx: Transaction, offsets: Offsets) -> str:
    """Forget every count, begin at these offsets, and return the new state's id."""
    for forget in _FORGET:
        tx.execute(forget)
    state_id = clock.random_id()
    begin_with(tx, offsets, state_id)
    return state_id


def begin_with(tx: Transaction, offsets: Offsets, state_id: str) -> None:
    """Begin to read these partitions, too."""
    tx.executemany(
        _BEGIN,
        [{"topic": t, "number": n, "next": offset, "state_id": state_id} for (t, n), offset in offsets.items()],
    )


def report(tx: Transaction) -> dict[str, Any]:
    """Return the metrics as they are now."""
    per_minute, verdicts = {}, Counter()
    for kind, at, orders in tx.execute(_COUNTS):
        verdicts[kind] += orders
        if kind == ORDER_PLACED:
            per_minute[at] = orders
    failed = verdicts[INVENTORY_FAILED]
    return metrics(per_minute, verdicts[INVENTORY_RESERVED] + failed, failed, now=clock.now().timestamp())
