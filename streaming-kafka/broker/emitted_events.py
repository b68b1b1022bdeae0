"""Which events a consumer has emitted, and the message that caused each first (its causation id).

A message may be in the log twice, when its producer could not know whether Kafka had it. The same message may also come
twice, after a crash: then the result event is emitted again, as the transaction in which it was emitted was never
committed. The row, written in the same transaction as the work, tells the two apart. `campus.pruning` says how many
rows are kept: a message is in the log twice within minutes, and not after 100,000 other orders.
"""

from collections.abc import Mapping, Sequence

from campus.events import Event
from campus.transaction import Transaction
from sqlalchemy import Column, MetaData, String, Table

metadata = MetaData()
emitted_events = Table(
    "emitted_events",
    metadata,
    # Orders' ids grow with time and events' ids are random: this order keeps new rows together on few pages.
    Column("order_id", String(64), primary_key=True),
    Column("event_id", String(64), primary_key=True),
    Column("causation_id", String(64), nullable=False),
    sqlite_with_rowid=False,
)

_INSERT = (
    "INSERT INTO emitted_events (order_id, event_id, causation_id) VALUES (:order_id, :event_id, :causation_id) "
    "ON CONFLICT DO NOTHING"
)
_FIND = "SELECT event_id, causation_id FROM emitted_events WHERE order_id IN :order_ids"


def emit_once(tx: Transaction, events: Sequence[Event], causation_ids: Mapping[str, str]) -> list[Event]:
    """Return those of the events that are to be emitted: each for the first message that caused it.

    `causation_ids` maps an order to the message that is worked on.
    """
    if not events:
        return []
    by_id = {event.event_id: event for event in events}
    rows = [
        {"order_id": e.order_id, "event_id": e.event_id, "causation_id": causation_ids[e.order_id]}
        for e in by_id.values()
    ]
    tx.executemany(_INSERT, rows)
    first = dict(tx.execute(_FIND, {"order_ids": list(causation_ids)}))
    return [event for event in by_id.values() if first[event.event_id] == causation_ids[event.order_id]]
