"""Lists that a client can follow, page by page, while others write: rows in the order in which they were committed.

Ids do not give that order. An id is made before its row is committed, so a smaller id can appear after a client has
read a larger one, and the client, which asks for what comes after, never sees it. So each row has a number, `seq`.
SQLite has one writer at a time: the next number is one more than the largest. PostgreSQL commits in another order than
it begins: the number is that of the transaction, and a list ends before the oldest transaction that still runs.
"""

from typing import Any

from sqlalchemy import BigInteger, Column, Index, Table

from campus.schemas import bad_request
from campus.transaction import Transaction

_NEXT = {
    "sqlite": "(SELECT coalesce(max(seq), 0) + 1 FROM {table})",
    "postgresql": "pg_current_xact_id()::text::bigint",
}
# Below this number every transaction has ended.
_ALL_ENDED = {"sqlite": "TRUE", "postgresql": "seq < pg_snapshot_xmin(pg_current_snapshot())::text::bigint"}


def seq() -> Column:
    """Return the column of a row's number; rows from before it existed have 0."""
    return Column("seq", BigInteger, server_default="0", nullable=False)


def index(table: Table, *first: Column) -> Index:
    """Add the index for `page(table)`, and for pages of the rows with one value of the columns `first`."""
    name = "_".join([table.name, *(column.name for column in first), "seq"])
    return Index(name, *first, table.c.seq, table.c.order_id)


def insert_if_absent(table: str, *columns: str) -> dict[str, str]:
    """Return the INSERT of a row with its number, by the name of the kind of database; a row that is there stays.

    Example:

        _INSERT = insert_if_absent("notifications", "order_id", "user_id", "at")
        is_new = tx.execute(_INSERT[tx.kind], {"order_id": "o1", "user_id": "u1", "at": at}).rowcount == 1
    """
    names, values = ", ".join(columns), ", ".join(f":{column}" for column in columns)
    insert = f"INSERT INTO {table} ({names}, seq) VALUES ({values}, {{seq}}) ON CONFLICT DO NOTHING"
    return {kind: insert.format(seq=number.format(table=table)) for kind, number in _NEXT.items()}


def page(
    tx: Transaction, table: str, columns: str, *, after: str, limit: int, **values: str | None
) -> list[tuple[Any, ...]]:
    """Return at most `limit` rows after that of the order `after`, oldest first; "" is before all.

    With `values`, only rows whose columns have these. Raises a 400 Problem for an unknown order: a guess would be
    worse, as a reader would never see what it skips.
    """
    given = {name: value for name, value in values.items() if value is not None}
    wanted = [_ALL_ENDED[tx.kind], *(f"{name} = :{name}" for name in given)]
    statement = (
        f"SELECT {columns} FROM {table} WHERE (seq, order_id) > (:seq, :after) AND {' AND '.join(wanted)} "
        "ORDER BY seq, order_id LIMIT :limit"
    )
    number = _number(tx, table, after) if after else -1
    return tx.execute(statement, {"seq": number, "after": after, "limit": limit, **given}).fetchall()


def _number(tx: Transaction, table: str, order_id: str) -> int:
    row = tx.execute(f"SELECT seq FROM {table} WHERE order_id = :order_id", {"order_id": order_id}).fetchone()
    if row is None:
        raise bad_request([{"field": "after", "why": "there is no such order here (any more); start without it"}])
    return row[0]
