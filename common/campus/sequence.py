"""Lists that a client can follow, page by page, while others write: rows in the order in which they were committed.

Ids do not give that order. An id is made before its row is committed, so a smaller id can appear after a client has
read a larger one, and the client, which asks for what comes after, never sees it. So each row has a number, `seq`.
SQLite has one writer at a time: the next number is one more than the largest. PostgreSQL commits in another order than
it begins: the number is that of the transaction, and a list ends before the oldest transaction that still runs.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, ColumnElement, Connection, Index, Select, Table, bindparam, select, tuple_
from sqlalchemy.ext.compiler import compiles

from campus.schemas import bad_request


class _NextNumber(ColumnElement[int]):
    inherit_cache = False
    type = BigInteger()

    def __init__(self, table: str) -> None:
        self.table = table


@compiles(_NextNumber, "sqlite")
def _after_the_largest(element: _NextNumber, _compiler: Any, **_: Any) -> str:
    return f"(SELECT coalesce(max(seq), 0) + 1 FROM {element.table})"


@compiles(_NextNumber, "postgresql")
def _of_the_transaction(_element: _NextNumber, _compiler: Any, **_: Any) -> str:
    return "pg_current_xact_id()::text::bigint"


class _FirstUnsettled(ColumnElement[int]):
    """Whatever has a smaller number than this is committed, or never will be."""

    inherit_cache = True
    type = BigInteger()


@compiles(_FirstUnsettled, "sqlite")
def _none(_element: _FirstUnsettled, _compiler: Any, **_: Any) -> str:
    return "9223372036854775807"


@compiles(_FirstUnsettled, "postgresql")
def _of_the_oldest_transaction(_element: _FirstUnsettled, _compiler: Any, **_: Any) -> str:
    return "pg_snapshot_xmin(pg_current_snapshot())::text::bigint"


def seq(table: str) -> Column:
    """Return the column of a row's number, which InsertIfAbsent fills by itself; rows from before it existed have 0."""
    return Column("seq", BigInteger, default=_NextNumber(table), server_default="0", nullable=False)


def index(table: Table, *first: Column) -> Index:
    """Add the index for `page(table)`, and for pages of the rows with one value of the columns `first`."""
    name = "_".join([table.name, *(column.name for column in first), "seq"])
    return Index(name, *first, table.c.seq, table.c.order_id)


def page(table: Table) -> Select:
    """Return the statement for a page of a table's rows; `after` gives its values, but for `b_limit`."""
    beyond = tuple_(table.c.seq, table.c.order_id) > tuple_(bindparam("b_seq"), bindparam("b_after"))
    rows = select(table).where(beyond, table.c.seq < _FirstUnsettled())
    return rows.order_by(table.c.seq, table.c.order_id).limit(bindparam("b_limit"))


def after(tx: Connection, table: Table, order_id: str) -> dict[str, Any]:
    """Return where a page begins: after this order's row; "" is before all. Raises a 400 Problem for an unknown order.

    A guess would be worse: what it skips, nobody ever sees.
    """
    if not order_id:
        return {"b_seq": -1, "b_after": ""}
    number = tx.execute(select(table.c.seq).where(table.c.order_id == order_id)).scalar()
    if number is None:
        raise bad_request([{"field": "after", "why": "there is no such order here (any more); start without it"}])
    return {"b_seq": number, "b_after": order_id}
