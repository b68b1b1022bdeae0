"""The inbox: which events a consumer has dealt with, and what it told because of each.

The row is written in the same transaction as the work. An event that comes again, now or after a restart, finds its
row: nothing is done, and the same event is told again, in case it was lost the first time. `campus.pruning` says how
long rows are kept.
"""

from collections.abc import Callable, Sequence

from sqlalchemy import Column, Connection, LargeBinary, MetaData, String, Table, bindparam, select

from campus.database import InsertIfAbsent
from campus.messages import Message, read
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
            Column("told", LargeBinary, nullable=False),
            Column("told_type", String(32), nullable=False),
            Column("at", String(32), nullable=False),
            sqlite_with_rowid=False,
        )
        self._insert = InsertIfAbsent(self.table)
        self._known = select(self.table).where(self.table.c.order_id.in_(bindparam("b_ids", expanding=True)))

    def once(self, tx: Connection, messages: Sequence[Message], work: Callable[[Message], Message]) -> list[Message]:
        """Do `work` for each message that is new, and return what is to be told because of each, in their order."""
        rows = tx.execute(self._known, {"b_ids": [m.order_id for m in messages]})
        told = {row.event_id: read(row.told, row.told_type) for row in rows}
        new = []
        for message in messages:
            if message.event_id not in told:
                told[message.event_id] = answer = work(message)
                row = {"order_id": message.order_id, "event_id": message.event_id, "at": utc_now()}
                new.append(row | {"told": answer.encode(), "told_type": answer.event_type})
        self._insert.many(tx, new)
        return [told[m.event_id] for m in messages]
