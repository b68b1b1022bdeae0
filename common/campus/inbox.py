"""The inbox: which events a consumer has dealt with, and what it told because of each.

The row is written in the same transaction as the work. An event that comes again, now or after a restart, finds its
row: nothing is done, and the same event is told again, in case it was lost the first time. `campus.pruning` says how
long rows are kept.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Column, Connection, LargeBinary, MetaData, String, Table, bindparam, select

from campus.database import InsertIfAbsent
from campus.events import Event, parse
from campus.orders import utc_now


class Inbox:
    """The inbox of one consumer: a table among those of `metadata`."""

    def __init__(self, metadata: MetaData) -> None:
        self.table = Table(
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
        self._insert = InsertIfAbsent(self.table)
        self._known = select(self.table).where(self.table.c.order_id.in_(bindparam("b_ids", expanding=True)))

    def process_once(self, tx: Connection, events: Sequence[Event], work: Callable[[Event], Event]) -> list[Event]:
        """Do `work` for each message that is new, and return what is to be told because of each, in their order."""
        rows = tx.execute(self._known, {"b_ids": [m.order_id for m in events]})
        results = {row.event_id: parse(row.result_event, row.result_type) for row in rows}
        new = []
        for event in events:
            if event.event_id not in results:
                results[event.event_id] = result = work(event)
                row = {"order_id": event.order_id, "event_id": event.event_id, "at": utc_now()}
                new.append(row | {"result_event": result.encode(), "result_type": result.event_type})
        self._insert.many(tx, new)
        return [results[m.event_id] for m in events]
