"""The order service's memory: every order with its timeline, and what is still owed to it.

`pending` names the step that must still be taken for an order, and `owner` the process that takes it (see
`pending.py`). Both are written in the same transaction as the order itself, so a step survives a killed process.
Each function works inside the transaction it is given.
"""

import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import (
    JSON,
    Column,
    Connection,
    Index,
    MetaData,
    String,
    Table,
    bindparam,
    delete,
    func,
    select,
    update,
)

from campus import sequence
from campus.database import InsertIfAbsent, ReadMany, Write
from campus.events import INVENTORY_FAILED, INVENTORY_RESERVED, NOTIFICATION_SENT, ORDER_PLACED, Event
from campus.orders import FAILED, NOTIFIED, PLACED, RESERVED, Item, Order
from campus.problems import Problem

metadata = MetaData()
orders = Table(
    "orders",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("user_id", String(64), nullable=False),
    Column("items", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", String(32)),
    Column("timeline", JSON, nullable=False),
    Column("request_id", String(128)),
    Column("idempotency_key", String(255)),
    Column("fingerprint", String(64)),
    Column("pending", String(16)),
    Column("owner", String(36)),
    sequence.seq("orders"),
    sqlite_with_rowid=False,  # the key is the table: one page to write instead of two
)
sequence.index(orders)
sequence.index(orders, orders.c.status)
Index(
    "orders_pending",
    orders.c.owner,
    orders.c.pending,
    orders.c.order_id,
    sqlite_where=orders.c.pending.isnot(None),
    postgresql_where=orders.c.pending.isnot(None),
)

_has_key = orders.c.idempotency_key.isnot(None)
Index("orders_key", orders.c.idempotency_key, unique=True, sqlite_where=_has_key, postgresql_where=_has_key)

_FIELDS = ("order_id", "user_id", "items", "status", "timeline", "reason", "request_id")  # of an Order
_insert = InsertIfAbsent(orders)
_by_id = select(orders).where(orders.c.order_id == bindparam("b_order"))
_by_ids = ReadMany(orders.c.order_id, [orders.c[name] for name in _FIELDS])
_by_key = select(orders).where(orders.c.idempotency_key == bindparam("b_key"))
_next_state = (
    update(orders)
    .where(orders.c.order_id == bindparam("b_order"), orders.c.status == bindparam("b_from"))
    .values(
        status=bindparam("b_status"),
        reason=bindparam("b_reason"),
        timeline=bindparam("b_timeline", type_=JSON),
        pending=bindparam("b_pending"),
        owner=bindparam("b_owner"),
    )
)
_project = Write(_next_state)
_save = Write(_next_state.where(orders.c.pending == bindparam("b_step")))
_clear_pending = Write(update(orders).where(orders.c.order_id == bindparam("b_order")).values(pending=None, owner=None))
_forget = Write(delete(orders).where(orders.c.order_id == bindparam("b_order"), orders.c.owner == bindparam("b_owner")))
_forget_key = Write(update(orders).where(orders.c.order_id == bindparam("b_order")).values(idempotency_key=None))
_due = (
    select(orders)
    .where(
        orders.c.owner == bindparam("b_owner"),
        orders.c.pending == bindparam("b_step"),
        orders.c.order_id > bindparam("b_after"),
    )
    .order_by(orders.c.order_id)
    .limit(bindparam("b_limit"))
)
_page = sequence.page(orders)
_page_of_status = _page.where(orders.c.status == bindparam("b_status"))
_is_pending = select(orders.c.order_id).where(orders.c.order_id == bindparam("b_order"), orders.c.pending.isnot(None))
_count_pending = select(func.count()).where(orders.c.pending.isnot(None))


_STATUS_OF = {ORDER_PLACED: PLACED, INVENTORY_RESERVED: RESERVED, INVENTORY_FAILED: FAILED, NOTIFICATION_SENT: NOTIFIED}


@dataclass(frozen=True, slots=True)
class PendingStep:
    """The step that must still be taken for an order, and the process that takes it."""

    step: str
    owner: str


def place(tx: Connection, order: Order, *, key: str | None, pending_step: PendingStep | None = None) -> Order:
    """Write a new order; under an Idempotency-Key that was used before, return the order it made instead.

    Raises a 422 Problem when the key was used with another body.
    """
    fingerprint = _fingerprint(order.user_id, order.items) if key else None
    row = _row(order, key, fingerprint, pending_step)
    if _insert(tx, row) == 1:
        return order
    earlier = tx.execute(_by_key, {"b_key": key}).mappings().first()
    if earlier is None:  # its key was forgotten between the two statements
        return place(tx, order, key=key, pending_step=pending_step)
    if earlier["fingerprint"] != fingerprint:
        detail = "This Idempotency-Key was used with another body."
        raise Problem(422, "idempotency-key-reused", detail, order_id=earlier["order_id"])
    return _order(earlier)


def save(tx: Connection, before: Order, after: Order, *, step: str, pending_step: PendingStep | None) -> bool:
    """Write an order's next state, reached by taking this step.

    Returns False, with nothing changed, if the order is no longer in the state `before` or another step is pending:
    somebody else was quicker.
    """
    return _save(tx, _change(before, after, pending_step) | {"b_step": step}) == 1


def project(tx: Connection, events: Sequence[Event]) -> list[Event]:
    """Bring orders to the states that these events tell of, each written once; an event told again changes nothing.

    An order that is not here is written down if its OrderPlaced is among them. Returns those that come too early: of
    an order that is not here, or notified before it was reserved. Raises IllegalTransition for an event that can never
    follow.
    """
    by_order: dict[str, dict[str, Event]] = {}
    for event in events:
        by_order.setdefault(event.order_id, {})[_STATUS_OF[event.event_type]] = event
    known = {row[0]: Order(*row) for row in _by_ids(tx, by_order)}
    new, changed, early = [], [], []
    for order_id, states in by_order.items():
        before = known.get(order_id)
        if before is None and PLACED not in states:
            early += states.values()
            continue
        after, too_early = _projected(before or _order_placed(states[PLACED]), states)
        early += too_early
        if before is None:
            new.append(_row(after))
        elif after is not before:
            changed.append(_change(before, after, None))
    if _insert.many(tx, new) < len(new):  # another process was quicker: look at what it wrote
        return project(tx, events)
    _project.many(tx, changed)
    return early


def clear_pending(tx: Connection, order_id: str) -> None:
    """Note that nothing is owed to an order any more."""
    _clear_pending(tx, {"b_order": order_id})


def forget(tx: Connection, order_id: str, *, owner: str) -> bool:
    """Remove an order of which nobody was told; return False if it is not this process's any more: others may know."""
    return _forget(tx, {"b_order": order_id, "b_owner": owner}) == 1


def is_pending(tx: Connection, order_id: str) -> bool:
    """Return whether a step must still be taken for this order."""
    return tx.execute(_is_pending, {"b_order": order_id}).first() is not None


def forget_key(tx: Connection, order_id: str) -> None:
    """Let an Idempotency-Key be used again: its order was refused before anything was done for it."""
    _forget_key(tx, {"b_order": order_id})


def find(tx: Connection, order_id: str) -> Order | None:
    """Return this order, or None."""
    row = tx.execute(_by_id, {"b_order": order_id}).mappings().first()
    return _order(row) if row else None


def page(tx: Connection, *, after: str, limit: int, status: str | None = None) -> list[Order]:
    """Return at most `limit` orders (of one status) that were committed after the order `after`: oldest first.

    Raises a 400 Problem when there is no such order.
    """
    statement = _page_of_status if status else _page
    begin = sequence.after(tx, orders, after)
    return [_order(row) for row in tx.execute(statement, {**begin, "b_limit": limit, "b_status": status}).mappings()]


def due(tx: Connection, *, owner: str, step: str, after: str, limit: int) -> list[Order]:
    """Return at most `limit` orders whose ids come after `after` and for which this process must take this step."""
    rows = tx.execute(_due, {"b_owner": owner, "b_step": step, "b_after": after, "b_limit": limit}).mappings()
    return [_order(row) for row in rows]


def count_pending(tx: Connection) -> int:
    """Return for how many orders a step is pending."""
    return tx.execute(_count_pending).scalar_one()


def _projected(order: Order, events: dict[str, Event]) -> tuple[Order, list[Event]]:
    """Return the order after these events, by the states that they tell of, and those that come too early."""
    early = []
    for status in (RESERVED, NOTIFIED, FAILED):
        event = events.get(status)
        if event is None or any(step["status"] == status for step in order.timeline):
            continue
        if status == NOTIFIED and order.status == PLACED:
            early.append(event)
        else:
            order = order.advance(status, reason=event.data.get("reason"), at=event.occurred_at)
    return order, early


def _order_placed(event: Event) -> Order:
    timeline = [{"status": PLACED, "at": event.occurred_at}]
    user_id, items = event.data["user_id"], event.data["items"]
    return Order(event.order_id, user_id, items, PLACED, timeline, None, event.request_id)


def _row(
    order: Order, key: str | None = None, fingerprint: str | None = None, pending_step: PendingStep | None = None
) -> dict[str, Any]:
    return {
        "order_id": order.order_id,
        "user_id": order.user_id,
        "items": order.items,
        "status": order.status,
        "reason": order.reason,
        "timeline": order.timeline,
        "request_id": order.request_id,
        "idempotency_key": key,
        "fingerprint": fingerprint,
        "pending": pending_step.step if pending_step else None,
        "owner": pending_step.owner if pending_step else None,
    }


def _change(before: Order, after: Order, pending_step: PendingStep | None) -> dict[str, Any]:
    return {
        "b_order": before.order_id,
        "b_from": before.status,
        "b_status": after.status,
        "b_reason": after.reason,
        "b_timeline": after.timeline,
        "b_pending": pending_step.step if pending_step else None,
        "b_owner": pending_step.owner if pending_step else None,
    }


def _order(row: Any) -> Order:
    return Order(*(row[name] for name in _FIELDS))


def _fingerprint(user_id: str, items: list[Item]) -> str:
    return hashlib.sha256(json.dumps([user_id, items]).encode()).hexdigest()
