"""The inbox of a consumer: which events it has dealt with, and the result event of each (deduplication).

The row is written in the same transaction as the work. An event that comes again, now or after a restart, finds its
row: nothing is done, and the same result event is published again, in case it was lost the first time.
`campus.pruning` says how long rows are kept.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Column, LargeBinary, MetaData, String, Table

from campus.events import Event, parse
from campus.orders import utc_now
from campus.retry import WorkItem
from campus.transaction import Transaction

metadata = MetaData()
inbox = Table(
    "inbox",
    metadata,
    # Orders' ids grow with time and events' ids are random: this order keeps new rows together on few pages.
    Column("order_id", String(64), primary_key=True),
    Column("event_id", String(64), primary_key=True),
    Column("result_event", LargeBinary, nullable=False),
    Column("result_type", String(32), nullable=False),
    Column("at", String(32), nullable=False),
    sqlite_with_rowid=False,
)

_FIND = "SELECT event_id, result_event, result_type FROM inbox WHERE order_id IN :order_ids"
_INSERT = (
    "INSERT INTO inbox (order_id, event_id, result_event, result_type, at) "
    "VALUES (:order_id, :event_id, :result_event, :result_type, :at) ON CONFLICT DO NOTHING"
)


def process_once(tx: Transaction, work_items: Sequence[WorkItem], work: Callable[[WorkItem], Event]) -> list[Event]:
    """Do `work` for each item whose event is new, and return the result event of each item, in their order."""
    rows = tx.execute(_FIND, {"order_ids": [item.event.order_id for item in work_items]})
    results = {event_id: parse(result, kind) for event_id, result, kind in rows}
    new = []
    for item in work_items:
        event = item.event
        if event.event_id not in results:
            results[event.event_id] = result = work(item)
            row = {"order_id": event.order_id, "event_id": event.event_id, "at": utc_now()}
            new.append(row | {"result_event": result.encode(), "result_type": result.event_type})
    tx.executemany(_INSERT, new)
    return [results[item.event.event_id] for item in work_items]
