"""One database for one service, behind `DATABASE_URL`: SQLite by default, PostgreSQL where machines share it.

SQLite gets a single connection and a lock. With a connection for each thread the losers of a write lock sleep
in SQLite's busy handler, which is unfair: a few requests then wait for a second or more.
`synchronous=NORMAL` in WAL mode keeps every commit when the process is killed; a power cut may lose the last.
"""

import contextlib
import threading
from collections.abc import Callable, Iterator, Sequence
from typing import Any

from sqlalchemy import Connection, Dialect, Executable, MetaData, Table, create_engine, event, insert, make_url, text
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
            self._engine = create_engine(parsed, poolclass=StaticPool, connect_args=args, paramstyle="named", **_JSON)
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
            # Said to the driver: SQLAlchemy's own begin and commit cost as much as the work between them.
            driver = self._one_connection.connection.driver_connection
            with self._turn:
                driver.execute("BEGIN IMMEDIATE")
                try:
                    yield self._one_connection
                    driver.commit()
                except BaseException:
                    driver.rollback()
                    raise

    def ping(self) -> None:
        """Do nothing when the database answers; raise what it says when it does not."""
        with self.transaction() as tx:
            tx.execute(text("SELECT 1"))

    def close(self) -> None:
        """Close every connection."""
        if self._one_connection is not None:
            self._one_connection.close()
        self._engine.dispose()


class Write:
    """An INSERT or UPDATE that SQLAlchemy writes once for each kind of database, and the driver runs.

    To run it, SQLAlchemy needs several times what SQLite needs for the work itself (see the benchmark).

    Example:

        take = Write(update(stock).where(stock.c.sku == bindparam("b_sku")).values(on_hand=bindparam("b_left")))
        changed = take(tx, {"b_sku": "burger", "b_left": 4})
    """

    def __init__(self, statement: Executable) -> None:
        self._statement = statement
        self._ready: dict[str, tuple[str, dict[str, Any], dict[str, Callable[[Any], Any]]]] = {}

    def __call__(self, tx: Connection, values: dict[str, Any]) -> int:
        """Run it with these values and return how many rows it changed. Raises the driver's own exceptions."""
        sql, constants, convert = self._ready.get(tx.dialect.name) or self._prepare(tx.dialect)
        return tx.connection.driver_connection.execute(sql, _given(constants, values, convert)).rowcount

    def many(self, tx: Connection, rows: Sequence[dict[str, Any]]) -> None:
        """Run it once for each of these, in one call of the driver."""
        sql, constants, convert = self._ready.get(tx.dialect.name) or self._prepare(tx.dialect)
        if rows:
            cursor = tx.connection.driver_connection.cursor()
            cursor.executemany(sql, [_given(constants, values, convert) for values in rows])

    def _for(self, dialect: Dialect) -> Executable:
        return self._statement

    def _prepare(self, dialect: Dialect) -> tuple[str, dict[str, Any], dict[str, Callable[[Any], Any]]]:
        compiled = self._for(dialect).compile(dialect=dialect)
        converters = {name: bind.type.bind_processor(dialect) for bind, name in compiled.bind_names.items()}
        convert = {name: converter for name, converter in converters.items() if converter}
        self._ready[dialect.name] = str(compiled), dict(compiled.params), convert
        return self._ready[dialect.name]


class InsertIfAbsent(Write):
    """`INSERT … ON CONFLICT DO NOTHING` for one table; the values must name every column."""

    def __init__(self, table: Table) -> None:
        super().__init__(insert(table))
        self._table = table

    def _for(self, dialect: Dialect) -> Executable:
        words = {"sqlite": sqlite, "postgresql": postgresql}[dialect.name]
        return words.insert(self._table).on_conflict_do_nothing()


def _given(constants: dict[str, Any], values: dict[str, Any], convert: dict[str, Any]) -> dict[str, Any]:
    given = constants | values
    for name, converter in convert.items():
        given[name] = converter(given[name])
    return given


def _set_up_sqlite(connection: Any, _record: Any) -> None:
    for pragma in ("journal_mode=WAL", "synchronous=NORMAL", "busy_timeout=5000"):
        connection.execute(f"PRAGMA {pragma}")
