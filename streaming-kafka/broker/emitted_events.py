"""What a consumer has told, and because of which message: an event is told because of the first that caused it.

A message may be in the log twice, when its producer could not know whether Kafka had it. The same message may also come
twice, after a crash: then what follows from it is told again, as the transaction in which it was told was never
committed. The row, written in the same transaction as the work, tells the two apart. `campus.pruning` says how many
rows are kept: a message is in the log twice within minutes, and not after 100,000 other orders.
"""

from collections.abc import Mapping, Sequence

from campus.database import Database, InsertIfAbsent
from campus.events import Event
from sqlalchemy import Column, Connection, MetaData, String, Table, bindparam, select

emitted_events = Table(
    "emitted_events",
    MetaData(),
    # Orders' ids grow with time and events' ids are random: this order keeps new rows together on few pages.
    Column("order_id", String(64), primary_key=True),
    Column("event_id", String(64), primary_key=True),
    Column("causation_id", String(64), nullable=False),
    sqlite_with_rowid=False,
)
_insert = InsertIfAbsent(emitted_events)
_known = select(emitted_events).where(emitted_events.c.order_id.in_(bindparam("b_ids", expanding=True)))


class EmittedEvents:
    """The table of this in one service's database."""

    def __init__(self, database: Database) -> None:
        database.make(emitted_events.metadata)

    def emit_once(self, tx: Connection, events: Sequence[Event], causation_ids: Mapping[str, str]) -> list[Event]:
        """Return those of the events that are to be told; `causes` maps an order to the message that is worked on."""
        if not events:
            return []
        once = {event.event_id: event for event in events}
        mine = {e.event_id: causation_ids[e.order_id] for e in once.values()}
        _insert.many(
            tx, [{"order_id": e.order_id, "event_id": e.event_id, "causation_id": mine[e.event_id]} for e in events]
        )
        rows = tx.execute(_known, {"b_ids": list({e.order_id for e in events})})
        first = {row.event_id: row.causation_id for row in rows}
        return [event for event in once.values() if first[event.event_id] == mine[event.event_id]]
