"""One database for one service, behind `DATABASE_URL`: SQLite by default, PostgreSQL where machines share it."""

import contextlib
import logging
import threading
import time
from collections.abc import Callable, Collection, Sequence
from concurrent.futures import Future
from typing import Any

from sqlalchemy import (
    ARRAY,
    JSON,
    Column,
    Connection,
    Dialect,
    Executable,
    Float,
    MetaData,
    String,
    Table,
    any_,
    bindparam,
    delete,
    func,
    insert,
    inspect,
    make_url,
    select,
    text,
)
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.schema import CreateColumn

from campus.database_errors import CommitUnknown, DatabaseDown
from campus.engines import BOOT_SECONDS, PostgreSQL, SQLite

__all__ = ["CommitUnknown", "Database", "DatabaseDown", "InsertIfAbsent", "ReadMany", "Write"]


log = logging.getLogger("campus")

PING_SECONDS = 1.0  # what takes longer than this is no answer

_pings = Table("pings", MetaData(), Column("at", Float, nullable=False))


class Database:
    """The tables of one service, and transactions on them from any thread.

    Every wait has a limit. Whatever the database itself is to blame for is raised as DatabaseDown.
    """

    def __init__(self, url: str, metadata: MetaData) -> None:
        parsed = make_url(url)
        self._engine = SQLite(parsed) if parsed.get_backend_name() == "sqlite" else PostgreSQL(parsed)
        self._make_when_there(metadata, _pings.metadata)
        self._ping_turn = threading.Lock()
        self._last_ping: tuple[float, Future[None]] | None = None

    def make(self, *tables: MetaData) -> None:
        """Make these tables; those that are there get the columns and indexes that they lack."""
        with self._engine.making_tables() as tx:
            for metadata in tables:
                metadata.create_all(tx)
                _bring_up_to_date(tx, metadata)

    def transaction(self) -> contextlib.AbstractContextManager[Connection]:
        """Begin, yield the connection, then commit; roll back on any exception."""
        return self._engine.transaction()

    def reading(self) -> contextlib.AbstractContextManager[Connection]:
        """Do the same for reading only: it shows one moment, and holds up nobody who writes."""
        return self._engine.reading()

    def turn(self, number: int) -> contextlib.AbstractContextManager[bool]:
        """Yield whether it is this process's turn to do what this number stands for; nobody else's until the end."""
        return self._engine.turn(number)

    @property
    def is_shared(self) -> bool:
        """Whether several processes may work on it: SQLite is for one."""
        return isinstance(self._engine, PostgreSQL)

    def ping(self) -> None:
        """Write a row. Raises DatabaseDown when that fails, or is not done within a second, whatever it waits for."""
        with self._ping_turn:
            if self._last_ping is None or self._last_ping[1].done():
                self._last_ping = time.monotonic(), Future()
                # In a thread of its own, which ends as all waits have limits, but none is as short as this answer's.
                threading.Thread(target=self._ping, args=(self._last_ping[1],), daemon=True).start()
            began, written = self._last_ping
        try:
            written.result(PING_SECONDS)
        except TimeoutError:
            raise DatabaseDown(f"nothing could be written for {time.monotonic() - began:.0f} s") from None

    def _make_when_there(self, *tables: MetaData) -> None:
        """Make the tables as soon as the database is there; raise DatabaseDown if that takes too long."""
        deadline, said = time.monotonic() + BOOT_SECONDS, False
        while True:
            try:
                return self.make(*tables)
            except DatabaseDown as error:
                if time.monotonic() > deadline:
                    self.close()
                    raise
                if not said:
                    log.warning("waiting for the database: %s", error)
                    said = True
            time.sleep(0.2)

    def _ping(self, written: "Future[None]") -> None:
        try:
            with self.transaction() as tx:
                tx.execute(delete(_pings))
                tx.execute(insert(_pings), {"at": time.time()})
            written.set_result(None)
        except Exception as error:  # whatever it is, it is what the asker must hear
            written.set_exception(error)

    def close(self) -> None:
        """Close every connection."""
        self._engine.close()


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

    def many(self, tx: Connection, rows: Sequence[dict[str, Any]]) -> int:
        """Run it once for each of these, in one call of the driver, and return how many rows it changed."""
        if not rows:
            return 0
        sql, constants, convert = self._ready.get(tx.dialect.name) or self._prepare(tx.dialect)
        cursor = tx.connection.driver_connection.cursor()
        cursor.executemany(sql, [_given(constants, values, convert) for values in rows])
        return cursor.rowcount

    def _for(self, dialect: Dialect) -> Executable:
        return self._statement

    def _prepare(self, dialect: Dialect) -> tuple[str, dict[str, Any], dict[str, Callable[[Any], Any]]]:
        compiled = self._for(dialect).compile(dialect=dialect)
        converters = {name: bind.type.bind_processor(dialect) for bind, name in compiled.bind_names.items()}
        convert = {name: converter for name, converter in converters.items() if converter}
        self._ready[dialect.name] = str(compiled), dict(compiled.params), convert
        return self._ready[dialect.name]


class InsertIfAbsent(Write):
    """`INSERT … ON CONFLICT DO NOTHING` for one table; the values must name every column that has no default."""

    def __init__(self, table: Table) -> None:
        super().__init__(insert(table))
        self._table = table
        self._values = {column: bindparam(column.name, type_=column.type) for column in table.c if not column.default}

    def _for(self, dialect: Dialect) -> Executable:
        words = {"sqlite": sqlite, "postgresql": postgresql}[dialect.name]
        return words.insert(self._table).values(self._values).on_conflict_do_nothing()


def _bring_up_to_date(tx: Connection, tables: MetaData) -> None:
    """Add the columns and indexes that were not there yet when these tables were made."""
    for table in tables.sorted_tables:
        there = {column["name"] for column in inspect(tx).get_columns(table.name)}
        for column in (column for column in table.c if column.name not in there):
            tx.execute(text(f"ALTER TABLE {table.name} ADD COLUMN {CreateColumn(column).compile(dialect=tx.dialect)}"))
        for index in table.indexes:
            index.create(tx, checkfirst=True)


class ReadMany(Write):
    """`SELECT … WHERE column IN (…)` for as many values as there are, run by the driver.

    Example:

        find = ReadMany(orders.c.order_id, [orders.c.order_id, orders.c.status])
        rows = find(tx, ["o1", "o2"])  # [("o2", "placed")]: those that are there, in no order
    """

    def __init__(self, column: Column, shown: Sequence[Column]) -> None:
        super().__init__(select(*shown))
        self._column, self._shown = column, shown

    def __call__(self, tx: Connection, values: Collection[str]) -> list[tuple[Any, ...]]:
        """Return the rows of these values."""
        sql, constants, convert = self._ready.get(tx.dialect.name) or self._prepare(tx.dialect)
        given = _given(constants, {"b_values": list(values)}, convert)
        rows = tx.connection.driver_connection.execute(sql, given).fetchall()
        read = [column.type.dialect_impl(tx.dialect).result_processor(tx.dialect, None) for column in self._shown]
        if not any(read):
            return rows
        return [tuple(f(value) if f else value for f, value in zip(read, row, strict=True)) for row in rows]

    def _for(self, dialect: Dialect) -> Executable:
        if dialect.name == "postgresql":
            return self._statement.where(self._column == any_(bindparam("b_values", type_=ARRAY(String))))
        values = func.json_each(bindparam("b_values", type_=JSON)).table_valued("value")
        return self._statement.where(self._column.in_(select(values.c.value)))


def _given(constants: dict[str, Any], values: dict[str, Any], convert: dict[str, Any]) -> dict[str, Any]:
    given = constants | values
    for name, converter in convert.items():
        given[name] = converter(given[name])
    return given
