"""One database for one service, behind `DATABASE_URL`: SQLite by default, PostgreSQL where machines share it.

SQLite gets a single connection and a lock. With a connection for each thread the losers of a write lock sleep
in SQLite's busy handler, which is unfair: a few requests then wait for a second or more.
`synchronous=NORMAL` in WAL mode keeps every commit when the process is killed; a power cut may lose the last.
"""

import contextlib
import threading
from collections.abc import Iterator
from typing import Any

from sqlalchemy import Connection, Executable, MetaData, Table, create_engine, event, make_url, text
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.pool import StaticPool

from campus import jsons

_JSON = {"json_serializer": lambda value: jsons.dumps(value).decode(), "json_deserializer": jsons.loads}


class Database:
    """The tables of one service, and transactions on them from any thread."""

    def __init__(self, url: str, metadata: MetaData) -> None:
        self._one_connection: Connection | None = None
        self._turn = threading.Lock()
        parsed = make_url(url)
        if parsed.get_backend_name() == "sqlite":
            # check_same_thread off: the lock is what keeps threads apart. isolation_level None: we say BEGIN.
            args = {"check_same_thread": False, "isolation_level": None}
            self._engine = create_engine(parsed, poolclass=StaticPool, connect_args=args, **_JSON)
            event.listen(self._engine, "connect", _set_up_sqlite)
        else:
            parsed = parsed.set(drivername="postgresql+psycopg")
            self._engine = create_engine(parsed, pool_size=32, pool_pre_ping=True, **_JSON)
        metadata.create_all(self._engine)
        if self._engine.dialect.name == "sqlite":
            self._one_connection = self._engine.connect()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Connection]:
        """Begin, yield the connection, then commit; roll back on any exception."""
        if self._one_connection is None:
            with self._engine.begin() as connection:
                yield connection
        else:
            with self._turn, self._one_connection.begin():
                # Said to the driver: as a statement or an event of SQLAlchemy's it would cost as much as the work.
                self._one_connection.connection.driver_connection.execute("BEGIN IMMEDIATE")
                yield self._one_connection

    def ping(self) -> None:
        """Do nothing when the database answers; raise what it says when it does not."""
        with self.transaction() as tx:
            tx.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every connection."""
        if self._one_connection is not None:
            self._one_connection.close()
        self._engine.dispose()


class InsertIfAbsent:
    """`INSERT … ON CONFLICT DO NOTHING` for one table, in the words of either database."""

    def __init__(self, table: Table) -> None:
        # preserve_rowcount: without it SQLAlchemy does not ask PostgreSQL how many rows an INSERT made, and says -1.
        self._by_dialect: dict[str, Executable] = {
            name: dialect.insert(table).on_conflict_do_nothing().execution_options(preserve_rowcount=True)
            for name, dialect in (("sqlite", sqlite), ("postgresql", postgresql))
        }

    def __call__(self, tx: Connection, row: dict[str, Any]) -> bool:
        """Insert the row; return False, with nothing changed, when its key is there already."""
        return tx.execute(self._by_dialect[tx.dialect.name], row).rowcount == 1


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")
