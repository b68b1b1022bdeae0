"""The two kinds of databases behind `campus.database`: how to connect, and how long to wait.

SQLite gets one connection to write and, for a file, one to read, each with a lock. With a connection for each thread
the losers of a write lock sleep in SQLite's busy handler, which is unfair: a few requests then wait for a second.
`synchronous=NORMAL` in WAL mode keeps every commit when the process is killed; a power cut may lose the last.
"""

import contextlib
import sqlite3
import threading
import time
from collections.abc import Generator, Iterator
from typing import Any

import psycopg
from sqlalchemy import URL, Engine, create_engine, event
from sqlalchemy.pool import StaticPool

from campus import file_lock
from campus.checkpoints import MAX_LOG_PAGES, Checkpoints
from campus.database_errors import CommitUnknown, DatabaseDown, down
from campus.transaction import Transaction

LONGEST_WAIT = 5.0  # seconds: for a connection, for a turn, and for the answer to one statement
BOOT_SECONDS = 60.0  # for the database to come, and for tables to be made
_TABLES_LOCK = 0x63616D707573  # any number that no other program uses
_LOCKED_SECONDS = 1  # how long SQLite waits for another process


class SQLite:
    """A SQLite database: in a file, or in memory, where one connection is all there is."""

    def __init__(self, url: URL) -> None:
        self._writer = self._reader = _OneConnection(url, "BEGIN IMMEDIATE")
        self._path = None if _in_memory(url) else url.database
        if self._path:
            self._reader = _OneConnection(url, "BEGIN", "query_only=ON")
            self._checkpoints = Checkpoints(self._path)
            try:
                file_lock.hold(self._path)
            except OSError as error:
                raise DatabaseDown(f"unable to open {self._path}: {error.strerror}") from error

    def making_tables(self) -> contextlib.AbstractContextManager[Transaction]:
        """Do the same as `transaction`: there is one process."""
        return self.transaction()

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Begin, yield it, then commit; roll back on any exception."""
        with self._writer.transaction() as tx:
            yield tx
        if self._path:
            self._checkpoints.after_commit()

    def reading(self) -> contextlib.AbstractContextManager[Transaction]:
        """Do the same on a connection that cannot write, and holds up no writer."""
        return self._reader.transaction()

    def turn(self, _number: int) -> contextlib.AbstractContextManager[bool]:
        """Yield True: there is one process."""
        return contextlib.nullcontext(True)

    def close(self) -> None:
        """Close every connection, and let another process have the file."""
        self._reader.close()
        self._writer.close()
        if self._path:
            file_lock.let_go(self._path)
            self._path = None


class _OneConnection:
    """One connection to SQLite, which threads use in turn; it is made anew when the database was at fault."""

    def __init__(self, url: URL, begin: str, *pragmas: str) -> None:
        self._begin, self._turn = begin, threading.Lock()
        waits, log = f"busy_timeout={1000 * _LOCKED_SECONDS}", f"wal_autocheckpoint={MAX_LOG_PAGES}"
        self._pragmas = "journal_mode=WAL", "synchronous=NORMAL", waits, log, *pragmas
        self._in_memory = _in_memory(url)
        # check_same_thread off: the lock is what keeps threads apart. isolation_level None: we say BEGIN.
        args = {"check_same_thread": False, "isolation_level": None, "timeout": _LOCKED_SECONDS}
        self._engine = create_engine(url, poolclass=StaticPool, connect_args=args)
        event.listen(self._engine, "connect", self._set_up)
        self._opened: Transaction | None = None  # the one connection, as each transaction on it is used

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Wait for the turn, begin, yield it, then commit; roll back on any exception."""
        if not self._turn.acquire(timeout=LONGEST_WAIT):
            raise DatabaseDown(f"other transactions have held the database for {LONGEST_WAIT:.0f} s")
        try:
            # Said to the driver: SQLAlchemy's own begin and commit cost as much as the work between them.
            tx = self._opened = self._opened or Transaction(self._engine.connect())
            tx.driver.execute(self._begin)
            yield tx
            tx.driver.commit()
        except BaseException as error:
            self._undo(error)
            raise
        finally:
            self._turn.release()

    def close(self) -> None:
        """Close it; the next transaction opens it again."""
        tx, self._opened = self._opened, None
        if tx is not None:
            tx.connection.close()
        self._engine.dispose()

    def _undo(self, error: BaseException) -> None:
        """Roll back. Raises DatabaseDown instead of `error` when the database is at fault, and lets go of it."""
        fault = down(error)
        try:
            if self._opened is not None:
                self._opened.driver.rollback()
        except sqlite3.Error as failed:
            fault = fault or DatabaseDown(f"the rollback failed: {failed}")
        if fault:
            if not self._in_memory:
                self.close()
            raise fault from error

    def _set_up(self, connection: Any, _record: Any) -> None:
        for pragma in self._pragmas:
            connection.execute(f"PRAGMA {pragma}")


def _in_memory(url: URL) -> bool:
    return not url.database or ":memory:" in url.database or "mode=memory" in url.database


class PostgreSQL:
    """A PostgreSQL database behind a pool of connections."""

    def __init__(self, url: URL) -> None:
        milliseconds = int(1000 * LONGEST_WAIT)
        limits = {
            "statement_timeout": milliseconds - 1000,
            "lock_timeout": milliseconds - 2000,
            # What a process held when it stood still or lost its network is free again after this.
            "idle_in_transaction_session_timeout": 2 * milliseconds,
        }
        args = {
            "options": " ".join(f"-c {name}={value}" for name, value in limits.items()),
            "connect_timeout": 3,
            "tcp_user_timeout": milliseconds,
            "keepalives_idle": 5,
            "keepalives_interval": 2,
            "keepalives_count": 3,
        }
        self._engine: Engine = create_engine(
            url.set(drivername="postgresql+psycopg"),
            pool_size=32,
            pool_timeout=LONGEST_WAIT,
            pool_pre_ping=True,
            connect_args=args,
        )
        event.listen(
            self._engine, "do_connect", lambda _dialect, _record, words, named: _Patient.connect(*words, **named)
        )

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Transaction]:
        """Begin, yield it, then commit; roll back on any exception."""
        first, committing = None, False  # a rollback on a lost connection fails, too
        try:
            with self._engine.begin() as connection:
                try:
                    yield Transaction(connection)
                except Exception as error:
                    first = down(error)
                    raise
                committing = True
        except Exception as error:
            if fault := first or down(error):
                raise (CommitUnknown(str(fault)) if committing else fault) from error
            raise

    reading = transaction  # readers hold up no writers here

    @contextlib.contextmanager
    def making_tables(self) -> Iterator[Transaction]:
        """Do the same for one service at a time, with as long as the tables need."""
        with self.transaction() as tx:
            tx.driver.limit = BOOT_SECONDS
            try:
                for name in ("statement_timeout", "lock_timeout"):
                    tx.execute(f"SET LOCAL {name} = {int(1000 * BOOT_SECONDS)}")
                # Two that start at once would both find no table, and both make it.
                tx.execute(f"SELECT pg_advisory_xact_lock({_TABLES_LOCK})")
                yield tx
            finally:
                tx.driver.limit = LONGEST_WAIT

    @contextlib.contextmanager
    def turn(self, number: int) -> Iterator[bool]:
        """Yield whether this number was free; until the end no other process gets it.

        One who stands still for too long, or whose connection is lost, loses it: what is done in it must stand that.
        """
        with self.transaction() as tx:
            yield tx.execute(f"SELECT pg_try_advisory_xact_lock({number})").fetchone()[0]

    def close(self) -> None:
        """Close every connection."""
        self._engine.dispose()


class _Patient(psycopg.Connection):
    """A connection that does not wait for ever: one that is silent for too long counts as lost.

    The server's own limits do not help when it is the server that stands still.
    """

    limit = LONGEST_WAIT

    def wait(self, gen: Any, interval: float = 0.1, timeout: float | None = None) -> Any:
        """Wait for an answer. Raises OperationalError, and closes the connection, when the server falls silent."""
        return super().wait(self._while_it_answers(gen), interval, timeout)

    def _while_it_answers(self, gen: Any) -> Generator[Any, Any, Any]:
        """Do what `gen` does, which is told again and again whether the socket is ready."""
        heard, ready = time.monotonic(), None
        while True:
            try:
                ready = yield gen.send(ready)
            except StopIteration as done:
                return done.value
            if ready:
                heard = time.monotonic()
            elif time.monotonic() - heard > self.limit:
                self.pgconn.finish()
                raise psycopg.OperationalError(f"the server was silent for {self.limit:.0f} s")
