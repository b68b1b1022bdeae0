"""The order service's memory: every order with its timeline, and the step that must still be taken for it.

`pending` names that step, and `owner` the process that takes it (see `pending.py`). Both are written in the same
transaction as the order itself, so a step survives a killed process.
Each function works inside the transaction it is given.
"""

import hashlib
import json
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import Column, Index, MetaData, String, Table, Text

from campus import jsons, sequence
from campus.orders import Item, Order
from campus.problems import Problem
from campus.transaction import Transaction

metadata = MetaData()
orders = Table(
    "orders",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("items", Text, nullable=False),  # JSON
    Column("status", String(16), nullable=False),
    Column("timeline", Text, nullable=False),  # JSON
    Column("reason", String(32)),
    Column("request_id", String(128)),
    Column("idempotency_key", String(255)),
    Column("fingerprint", String(64)),
    Column("pending", String(16)),
    Column("owner", String(36)),
    sequence.seq(),
    sqlite_with_rowid=False,  # the key is the table: one page to write instead of two
)
sequence.index(orders)
sequence.index(orders, orders.c.status)
_is_pending = orders.c.pending.isnot(None)
_pending_columns = orders.c.owner, orders.c.pending, orders.c.order_id
Index("orders_pending", *_pending_columns, sqlite_where=_is_pending, postgresql_where=_is_pending)
_has_key = orders.c.idempotency_key.isnot(None)
Index("orders_key", orders.c.idempotency_key, unique=True, sqlite_where=_has_key, postgresql_where=_has_key)

_COLUMNS = "order_id, user_id, items, status, timeline, reason, request_id"  # of an Order, in its order
_INSERT = sequence.insert_if_absent(
    "orders", *_COLUMNS.split(", "), "idempotency_key", "fingerprint", "pending", "owner"
)
_FIND = f"SELECT {_COLUMNS} FROM orders WHERE order_id = :order_id"
_FIND_MANY = f"SELECT {_COLUMNS} FROM orders WHERE order_id IN :order_ids"
_FIND_KEY = f"SELECT {_COLUMNS}, fingerprint FROM orders WHERE idempotency_key = :key"
_SAVE = (
    "UPDATE orders SET status = :status, timeline = :timeline, reason = :reason, pending = :pending, owner = :owner "
    "WHERE order_id = :order_id AND status = :before AND pending = :step"
)
_SAVE_ANY = (
    "UPDATE orders SET status = :status, timeline = :timeline, reason = :reason, pending = NULL, owner = NULL "
    "WHERE order_id = :order_id AND status = :before"
)
# The guard and the change are one statement: an order need not be read before it goes on.
_ADVANCE = (
    "UPDATE orders SET status = :status, reason = :reason, pending = NULL, owner = NULL, "
    "timeline = substr(timeline, 1, length(timeline) - 1) || ',' || :step || ']' "  # JSON: a list with one more in it
    "WHERE order_id = :order_id AND status = :before"
)
_CLEAR_PENDING = "UPDATE orders SET pending = NULL, owner = NULL WHERE order_id = :order_id"
_FORGET = "DELETE FROM orders WHERE order_id = :order_id AND owner = :owner"
_FORGET_KEY = "UPDATE orders SET idempotency_key = NULL WHERE order_id = :order_id"
_DUE = (
    f"SELECT {_COLUMNS} FROM orders WHERE owner = :owner AND pending = :step AND order_id > :after "
    "ORDER BY order_id LIMIT :limit"
)
_IS_PENDING = "SELECT 1 FROM orders WHERE order_id = :order_id AND pending IS NOT NULL"
_COUNT_PENDING = "SELECT count(*) FROM orders WHERE pending IS NOT NULL"


@dataclass(frozen=True, slots=True)
class PendingStep:
    """The step that must still be taken for an order, and the process that takes it."""

    step: str
    owner: str


@dataclass(frozen=True, slots=True)
class Step:
    """An order has gone from the state `before` to the next one, and when."""

    order_id: str
    before: str
    status: str
    at: str
    reason: str | None = None


def place(tx: Transaction, order: Order, *, key: str | None, pending_step: PendingStep | None = None) -> Order:
    """Write a new order; under an Idempotency-Key that was used before, return the order it made instead.

    Raises a 422 Problem when the key was used with another body.
    """
    fingerprint = _fingerprint(order.user_id, order.items) if key else None
    row = _row(order, pending_step) | {"idempotency_key": key, "fingerprint": fingerprint}
    if tx.execute(_INSERT[tx.kind], row).rowcount == 1:
        return order
    earlier = tx.execute(_FIND_KEY, {"key": key}).fetchone()
    if earlier is None:  # its key was forgotten between the two statements
        return place(tx, order, key=key, pending_step=pending_step)
    *columns, its_fingerprint = earlier
    first = _order(columns)
    if its_fingerprint != fingerprint:
        detail = "This Idempotency-Key was used with another body."
        raise Problem(422, "idempotency-key-reused", detail, order_id=first.order_id)
    return first


def save(tx: Transaction, before: Order, after: Order, *, step: str, pending_step: PendingStep | None) -> bool:
    """Write an order's next state, reached by taking this step.

    Returns False, with nothing changed, if the order is no longer in the state `before` or another step is pending:
    another process was quicker.
    """
    values = _state(after) | _pending(pending_step)
    return tx.execute(_SAVE, values | {"before": before.status, "step": step}).rowcount == 1


def insert_many(tx: Transaction, orders: Sequence[Order]) -> int:
    """Write these orders, and return how many of them were not there yet."""
    no_key = {"idempotency_key": None, "fingerprint": None}
    return tx.executemany(_INSERT[tx.kind], [_row(order) | no_key for order in orders]).rowcount if orders else 0


def save_many(tx: Transaction, changes: Sequence[tuple[Order, Order]]) -> None:
    """Write the next states of many orders, as `(before, after)`, whatever step was pending: none is, then."""
    tx.executemany(_SAVE_ANY, [_state(after) | {"before": before.status} for before, after in changes])


def advance_many(tx: Transaction, steps: Sequence[Step]) -> int:
    """Note these steps in their order; return how many orders were in the state from which their step goes on."""
    rows = [
        {
            "order_id": step.order_id,
            "before": step.before,
            "status": step.status,
            "step": jsons.string({"status": step.status, "at": step.at}),
            "reason": step.reason,
        }
        for step in steps
    ]
    return tx.executemany(_ADVANCE, rows).rowcount if rows else 0


def clear_pending(tx: Transaction, order_id: str) -> None:
    """Note that no step is pending for an order any more."""
    tx.execute(_CLEAR_PENDING, {"order_id": order_id})


def forget(tx: Transaction, order_id: str, *, owner: str) -> bool:
    """Remove an order that was never published; return False if it belongs to another process now: others may know."""
    return tx.execute(_FORGET, {"order_id": order_id, "owner": owner}).rowcount == 1


def is_pending(tx: Transaction, order_id: str) -> bool:
    """Return whether a step must still be taken for this order."""
    return tx.execute(_IS_PENDING, {"order_id": order_id}).fetchone() is not None


def forget_key(tx: Transaction, order_id: str) -> None:
    """Let an Idempotency-Key be used again: its order was refused before anything was done for it."""
    tx.execute(_FORGET_KEY, {"order_id": order_id})


def find(tx: Transaction, order_id: str) -> Order | None:
    """Return this order, or None."""
    row = tx.execute(_FIND, {"order_id": order_id}).fetchone()
    return _order(row) if row else None


def find_many(tx: Transaction, order_ids: Collection[str]) -> dict[str, Order]:
    """Return those of these orders that are there, by their ids."""
    found = map(_order, tx.execute(_FIND_MANY, {"order_ids": list(order_ids)}))
    return {order.order_id: order for order in found}


def page(tx: Transaction, *, after: str, limit: int, status: str | None = None) -> list[Order]:
    """Return at most `limit` orders (of one status) that were committed after the order `after`: oldest first.

    Raises a 400 Problem when there is no such order.
    """
    return [_order(row) for row in sequence.page(tx, "orders", _COLUMNS, after=after, limit=limit, status=status)]


def due(tx: Transaction, *, owner: str, step: str, after: str, limit: int) -> list[Order]:
    """Return at most `limit` orders whose ids come after `after` and for which this process must take this step."""
    return [_order(row) for row in tx.execute(_DUE, {"owner": owner, "step": step, "after": after, "limit": limit})]


def count_pending(tx: Transaction) -> int:
    """Return for how many orders a step is pending."""
    return tx.execute(_COUNT_PENDING).fetchone()[0]


def _order(row: Sequence[Any]) -> Order:
    order_id, user_id, items, status, timeline, reason, request_id = row
    return Order(order_id, user_id, jsons.loads(items), status, jsons.loads(timeline), reason, request_id)


def _row(order: Order, pending_step: PendingStep | None = None) -> dict[str, Any]:
    placed = {"user_id": order.user_id, "items": jsons.string(order.items), "request_id": order.request_id}
    return placed | _state(order) | _pending(pending_step)


def _state(order: Order) -> dict[str, Any]:
    """Return what changes with an order's state, and its id."""
    timeline = jsons.string(order.timeline)
    return {"order_id": order.order_id, "status": order.status, "timeline": timeline, "reason": order.reason}


def _pending(step: PendingStep | None) -> dict[str, Any]:
    return {"pending": step.step, "owner": step.owner} if step else {"pending": None, "owner": None}


def _fingerprint(user_id: str, items: list[Item]) -> str:
    return hashlib.sha256(json.dumps([user_id, items]).encode()).hexdigest()
