"""The notifications that were sent: one for each order. Each function works inside the transaction it is given."""

from collections.abc import Sequence
from typing import Any

from sqlalchemy import Column, MetaData, String, Table

from campus import sequence
from campus.orders import utc_now
from campus.transaction import Transaction

metadata = MetaData()
notifications = Table(
    "notifications",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("at", String(32), nullable=False),
    sequence.seq(),
    sqlite_with_rowid=False,  # the key is the table: one page to write instead of two
)
sequence.index(notifications)

_INSERT = sequence.insert_if_absent("notifications", "order_id", "user_id", "at")
_FIND = "SELECT order_id, user_id, at FROM notifications WHERE order_id = :order_id"


def send(tx: Transaction, order_id: str, user_id: str) -> dict[str, Any]:
    """Notify the student, once for an order, and return `{order_id, user_id, at}`.

    The row is the notification: a mail gateway would be called here with `order_id` as its idempotency key.
    """
    row = {"order_id": order_id, "user_id": user_id, "at": utc_now()}
    if tx.execute(_INSERT[tx.kind], row).rowcount == 1:
        return row
    return _as_dict(tx.execute(_FIND, {"order_id": order_id}).fetchone())


def page(tx: Transaction, *, after: str, limit: int, order_id: str | None = None) -> list[dict[str, Any]]:
    """Return at most `limit` notifications (of one order) that were committed after that of the order `after`.

    Raises a 400 Problem when there is none of that order.
    """
    columns = "order_id, user_id, at"
    rows = sequence.page(tx, "notifications", columns, after=after, limit=limit, order_id=order_id)
    return [_as_dict(row) for row in rows]


def _as_dict(row: Sequence[Any]) -> dict[str, Any]:
    order_id, user_id, at = row
    return {"order_id": order_id, "user_id": user_id, "at": at}
