"""One database for one service, behind `DATABASE_URL`: SQLite by default, PostgreSQL where machines share it."""

import contextlib
import logging
from collections.abc import Callable, Mapping

from sqlalchemy import Column, Float, MetaData, Table, inspect, make_url
from sqlalchemy.schema import CreateColumn

from campus import clock
from campus.bounded import Bounded
from campus.database_errors import CommitUnknown, DatabaseDown
from campus.engines import BOOT_SECONDS, PostgreSQL, SQLite
from campus.lifecycle import STOP_SECONDS, Part
from campus.transaction import Transaction

__all__ = ["CommitUnknown", "Database", "DatabaseDown"]

log = logging.getLogger("campus")

PING_SECONDS = 1.0  # what takes longer than this is no answer

_pings = Table("pings", MetaData(), Column("at", Float, nullable=False))
_CLEAR_PINGS, _PING = "DELETE FROM pings", "INSERT INTO pings (at) VALUES (:at)"


class Database(Part):
    """The tables of one service, and transactions on them from any thread.

    Every wait has a limit. Every failure of the database itself is raised as DatabaseDown.
    """

    def __init__(self, url: str, *tables: MetaData) -> None:
        parsed = make_url(url)
        self._engine = SQLite(parsed) if parsed.get_backend_name() == "sqlite" else PostgreSQL(parsed)
        self._make_when_there(*tables, _pings.metadata)
        self._ping = Bounded(self._write_row, PING_SECONDS)

    def make(self, *tables: MetaData) -> None:
        """Make these tables; those that are there get the columns and indexes that they lack."""
        with self._engine.making_tables() as tx:
            for metadata in tables:
                metadata.create_all(tx.connection)
                _bring_up_to_date(tx, metadata)

    def transaction(self) -> contextlib.AbstractContextManager[Transaction]:
        """Begin, yield it, then commit; roll back on any exception."""
        return self._engine.transaction()

    def reading(self) -> contextlib.AbstractContextManager[Transaction]:
        """Do the same for reading only: it shows one moment, and blocks no writer."""
        return self._engine.reading()

    def turn(self, number: int) -> contextlib.AbstractContextManager[bool]:
        """Yield whether it is this process's turn to do what this number stands for; no other's until the end."""
        return self._engine.turn(number)

    @property
    def is_shared(self) -> bool:
        """Whether several processes may work on it: SQLite is for one."""
        return isinstance(self._engine, PostgreSQL)

    def ping(self) -> None:
        """Write a row. Raises DatabaseDown when that fails, or is not done within a second, whatever it waits for."""
        try:
            self._ping()
        except TimeoutError as error:
            raise DatabaseDown(f"nothing could be written: {error}") from None

    def _make_when_there(self, *tables: MetaData) -> None:
        """Make the tables as soon as the database is there; raise DatabaseDown if that takes too long."""
        deadline, said = clock.monotonic() + BOOT_SECONDS, False
        while True:
            try:
                return self.make(*tables)
            except DatabaseDown as error:
                if clock.monotonic() > deadline:
                    self.close()
                    raise
                if not said:
                    log.warning("waiting for the database: %s", error)
                    said = True
            clock.sleep(0.2)

    def _write_row(self) -> None:
        with self.transaction() as tx:
            tx.execute(_CLEAR_PINGS)
            tx.execute(_PING, {"at": clock.now().timestamp()})

    @property
    def checks(self) -> Mapping[str, Callable[[], None]]:
        """Whether it can be written."""
        return {"database": self.ping}

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Close it."""
        self.close()

    def close(self) -> None:
        """Close every connection."""
        self._engine.close()


def _bring_up_to_date(tx: Transaction, tables: MetaData) -> None:
    """Add the columns and indexes that were not there yet when these tables were made."""
    for table in tables.sorted_tables:
        there = {column["name"] for column in inspect(tx.connection).get_columns(table.name)}
        for column in (column for column in table.c if column.name not in there):
            definition = CreateColumn(column).compile(dialect=tx.connection.dialect)
            tx.execute(f"ALTER TABLE {table.name} ADD COLUMN {definition}")
        for index in table.indexes:
            index.create(tx.connection, checkfirst=True)
