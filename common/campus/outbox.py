"""The outbox: events that are committed with the order they tell of, and wait there until the broker has them.

Without it a service that commits and then publishes loses the event when it dies in between; and one that publishes
first tells of orders that never came to be.
"""

from sqlalchemy import Column, Connection, Integer, LargeBinary, MetaData, String, Table, bindparam, func, select
from sqlalchemy import delete as delete_from

from campus.database import InsertIfAbsent, Write
from campus.events import Event


class Outbox:
    """The outbox of one service; rows leave it in the order in which they came."""

    def __init__(self, metadata: MetaData) -> None:
        self._table = Table(
            "outbox",
            metadata,
            Column("event_id", String(64), primary_key=True),
            Column("event_type", String(32), nullable=False),
            Column("body", LargeBinary, nullable=False),
            Column("occurred_at", String(32), nullable=False, index=True),
        )
        table = self._table
        self._insert = InsertIfAbsent(table)
        self._delete = Write(delete_from(table).where(table.c.event_id == bindparam("b_event")))
        self._oldest = select(table).order_by(table.c.occurred_at).limit(bindparam("b_limit", type_=Integer))
        self._count = select(func.count()).select_from(table)

    def add(self, tx: Connection, event: Event) -> None:
        """Put an event in, within the transaction of what it tells."""
        self._insert(
            tx,
            {
                "event_id": event.event_id,
                "event_type": event.event_type,
                "body": event.encode(),
                "occurred_at": event.occurred_at,
            },
        )

    def oldest(self, tx: Connection, limit: int) -> list[tuple[str, str, bytes]]:
        """Return `(event_id, event_type, body)` of the events that wait longest."""
        rows = tx.execute(self._oldest, {"b_limit": limit})
        return [(row.event_id, row.event_type, row.body) for row in rows]

    def remove(self, tx: Connection, event_ids: list[str]) -> None:
        """Take out what the broker has confirmed."""
        self._delete.many(tx, [{"b_event": event_id} for event_id in event_ids])

    def depth(self, tx: Connection) -> int:
        """Return how many events wait."""
        return tx.execute(self._count).scalar_one()
