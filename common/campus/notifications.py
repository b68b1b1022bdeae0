"""The notifications that were sent: one for each order. Each function works inside the transaction it is given."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Column, Connection, MetaData, String, Table, bindparam, select

from campus import sequence
from campus.database import InsertIfAbsent
from campus.orders import utc_now

metadata = MetaData()
notifications = Table(
    "notifications",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("at", String(32), nullable=False),
    sequence.seq("notifications"),
    sqlite_with_rowid=False,  # the key is the table: one page to write instead of two
)

sequence.index(notifications)

_insert = InsertIfAbsent(notifications)
_by_order = select(notifications).where(notifications.c.order_id == bindparam("b_order"))
_page = sequence.page(notifications)
_page_of_order = _page.where(notifications.c.order_id == bindparam("b_order"))


def send(tx: Connection, order_id: str, user_id: str) -> dict[str, Any]:
    """Notify the student, once for an order, and return `{order_id, user_id, at}`.

    The row is the notification: a mail gateway would be called here with `order_id` as its idempotency key.
    """
    row = {"order_id": order_id, "user_id": user_id, "at": utc_now()}
    if _insert(tx, row):
        return row
    return _shape(tx.execute(_by_order, {"b_order": order_id}).mappings().one())


def page(tx: Connection, *, after: str, limit: int, order_id: str | None = None) -> list[dict[str, Any]]:
    """Return at most `limit` notifications (of one order) that were committed after that of the order `after`.

    Raises a 400 Problem when there is none of that order.
    """
    statement = _page_of_order if order_id else _page
    begin = sequence.after(tx, notifications, after)
    return [_shape(row) for row in tx.execute(statement, {**begin, "b_limit": limit, "b_order": order_id}).mappings()]


def _shape(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: row[name] for name in ("order_id", "user_id", "at")}
