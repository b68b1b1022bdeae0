"""The outbox: events that are committed with the order that they report, and wait there until the broker has them.

Without it a service that commits and then publishes loses the event when it dies in between; and one that publishes
first reports orders that never came to be.
"""

from collections.abc import Sequence

from sqlalchemy import Column, LargeBinary, MetaData, String, Table

from campus.events import Event
from campus.transaction import Transaction

metadata = MetaData()
outbox = Table(
    "outbox",
    metadata,
    Column("event_id", String(64), primary_key=True),
    Column("event_type", String(32), nullable=False),
    Column("body", LargeBinary, nullable=False),
    Column("occurred_at", String(32), nullable=False, index=True),
)

_INSERT = (
    "INSERT INTO outbox (event_id, event_type, body, occurred_at) "
    "VALUES (:event_id, :event_type, :body, :occurred_at) ON CONFLICT DO NOTHING"
)
_OLDEST = "SELECT event_id, event_type, body FROM outbox ORDER BY occurred_at LIMIT :limit"
_REMOVE = "DELETE FROM outbox WHERE event_id = :event_id"
_DEPTH = "SELECT count(*) FROM outbox"


def add(tx: Transaction, event: Event) -> None:
    """Put an event in, within the transaction of what it reports."""
    row = {"event_id": event.event_id, "event_type": event.event_type, "body": event.encode()}
    tx.execute(_INSERT, row | {"occurred_at": event.occurred_at})


def oldest(tx: Transaction, limit: int) -> list[tuple[str, str, bytes]]:
    """Return `(event_id, event_type, body)` of the events that wait longest."""
    return tx.execute(_OLDEST, {"limit": limit}).fetchall()


def remove(tx: Transaction, event_ids: Sequence[str]) -> None:
    """Take out what the broker has confirmed."""
    tx.executemany(_REMOVE, [{"event_id": event_id} for event_id in event_ids])


def depth(tx: Transaction) -> int:
    """Return how many events wait."""
    return tx.execute(_DEPTH).fetchone()[0]
