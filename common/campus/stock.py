"""Stock and reservations: all or nothing over the lines of an order, and idempotent by order.

Every function works inside the transaction it is given, so that a service can put more into the same one.
A reservation is `{order_id, items, status, reason?, at}`, its status `reserved`, `released` or `failed`.
"""

import json
from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    CheckConstraint,
    Column,
    Connection,
    MetaData,
    String,
    Table,
    bindparam,
    select,
    update,
)

from campus import sequence
from campus.database import InsertIfAbsent, Write
from campus.orders import MENU, Item, utc_now

RESERVED, RELEASED, FAILED = "reserved", "released", "failed"
INSUFFICIENT_STOCK, UNKNOWN_SKU, INJECTED = "insufficient_stock", "unknown_sku", "injected"
DEFAULT_STOCK = 100_000

metadata = MetaData()
stock = Table(
    "stock",
    metadata,
    Column("sku", String(64), primary_key=True),
    Column("initial", BigInteger, nullable=False),
    Column("on_hand", BigInteger, CheckConstraint("on_hand >= 0"), nullable=False),
    Column("reserved", BigInteger, CheckConstraint("reserved >= 0"), nullable=False),
    sqlite_with_rowid=False,  # the key is the table: one page to write instead of two
)
reservations = Table(
    "reservations",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("items", JSON, nullable=False),
    Column("status", String(16), nullable=False),
    Column("reason", String(32)),
    Column("at", String(32), nullable=False),
    sequence.seq("reservations"),
    sqlite_with_rowid=False,  # the key is the table: one page to write instead of two
)
sequence.index(reservations)

_claim = InsertIfAbsent(reservations)
_add_sku = InsertIfAbsent(stock)
_sku, _qty = bindparam("b_sku", type_=String), bindparam("b_qty", type_=BigInteger)
_this_sku = stock.c.sku == _sku
# The guard and the change are one statement: between a check and an update another thread could take the last one.
_take = Write(
    update(stock)
    .where(_this_sku, stock.c.on_hand >= _qty)
    .values(on_hand=stock.c.on_hand - _qty, reserved=stock.c.reserved + _qty)
)
_put_back = Write(
    update(stock).where(_this_sku).values(on_hand=stock.c.on_hand + _qty, reserved=stock.c.reserved - _qty)
)
_restock = Write(update(stock).where(_this_sku).values(on_hand=stock.c.on_hand + _qty, initial=stock.c.initial + _qty))
_one_sku = select(stock).where(_this_sku).with_for_update()
_reservation = select(reservations).where(reservations.c.order_id == bindparam("b_order"))
_reservation_to_change = _reservation.with_for_update()
_update_status = Write(
    update(reservations)
    .where(reservations.c.order_id == bindparam("b_order"))
    .values(status=bindparam("b_status"), reason=bindparam("b_reason"), at=bindparam("b_at"))
)
_page = sequence.page(reservations)


def reserve(tx: Connection, order_id: str, items: list[Item], *, refuse: str | None = None) -> dict[str, Any]:
    """Take the items from stock for this order and return its reservation.

    A second call returns the first verdict and changes nothing. `items` must be added up and in sku order
    (`orders.add_up`), so that two orders lock the same rows in the same order. `refuse` is a reason to fail anyway.
    """
    row = {"order_id": order_id, "items": items, "status": RESERVED, "reason": None, "at": utc_now()}
    if not _claim(tx, row):
        return _known(tx, order_id)
    reason = refuse or _take_all(tx, items)
    if reason:
        row |= {"status": FAILED, "reason": reason}
        _set_status(tx, row)
    return _shape(row)


def release(tx: Connection, order_id: str) -> dict[str, Any]:
    """Give back what this order holds, if anything, and return its reservation. Idempotent.

    An order that is not known yet is marked as released all the same: a reservation request for it that is still
    on its way then comes too late and takes nothing.
    """
    row = {"order_id": order_id, "items": [], "status": RELEASED, "reason": None, "at": utc_now()}
    if _claim(tx, row):
        return _shape(row)
    known = _known(tx, order_id)
    if known["status"] == RESERVED:
        for line in known["items"]:
            _put_back(tx, _line(line))
        known |= {"status": RELEASED, "at": row["at"]}
        _set_status(tx, known)
    return known


def find(tx: Connection, order_id: str) -> dict[str, Any] | None:
    """Return this order's reservation, or None."""
    row = tx.execute(_reservation, {"b_order": order_id}).mappings().first()
    return _shape(row) if row else None


def page(tx: Connection, *, after: str, limit: int) -> list[dict[str, Any]]:
    """Return at most `limit` reservations that were committed after that of the order `after`: oldest first.

    Raises a 400 Problem when there is none of this order.
    """
    begin = sequence.after(tx, reservations, after)
    return [_shape(row) for row in tx.execute(_page, {**begin, "b_limit": limit}).mappings()]


def levels(tx: Connection) -> dict[str, dict[str, int]]:
    """Return `{sku: {initial, on_hand, reserved}}`; initial = on_hand + reserved, always."""
    rows = tx.execute(select(stock).order_by(stock.c.sku))
    return {r.sku: {"initial": r.initial, "on_hand": r.on_hand, "reserved": r.reserved} for r in rows}


def change(tx: Connection, sku: str, *, add: int | None = None, put: int | None = None) -> None:
    """Add this many of a sku, or make it so many on hand (`put`); what is reserved stays. A new sku is made."""
    _add_sku(tx, {"sku": sku, "initial": 0, "on_hand": 0, "reserved": 0})
    if put is not None:
        add = put - tx.execute(_one_sku, {"b_sku": sku}).mappings().one()["on_hand"]
    _restock(tx, {"b_sku": sku, "b_qty": add})


def fill(tx: Connection, initial: str | None) -> None:
    """Put the menu on the shelf, once: skus that are there stay as they are.

    `initial` is `INITIAL_STOCK`: a number for every sku, or JSON as in `{"burger": 5}`. Raises ValueError.
    """
    for sku, count in sorted(_parse_initial(initial).items()):  # two services at once wait for each other in one order
        _add_sku(tx, {"sku": sku, "initial": count, "on_hand": count, "reserved": 0})


def _parse_initial(initial: str | None) -> dict[str, int]:
    given = json.loads(initial) if initial else DEFAULT_STOCK
    counts = given if isinstance(given, dict) else dict.fromkeys(MENU, given)
    if not all(type(count) is int and count >= 0 for count in counts.values()):
        raise ValueError(f'INITIAL_STOCK must be a number, or JSON such as {{"burger": 5}}; it is {initial}')
    return counts


def _take_all(tx: Connection, items: list[Item]) -> str | None:
    """Take every line, or none and return the reason."""
    for n, line in enumerate(items):
        if _take(tx, _line(line)) == 0:
            for taken in items[:n]:
                _put_back(tx, _line(taken))
            known = tx.execute(_one_sku, {"b_sku": line["sku"]}).first()
            return INSUFFICIENT_STOCK if known else UNKNOWN_SKU
    return None


def _set_status(tx: Connection, row: dict[str, Any]) -> None:
    values = {"b_order": row["order_id"], "b_status": row["status"]}
    _update_status(tx, values | {"b_reason": row.get("reason"), "b_at": row["at"]})


def _line(line: Item) -> dict[str, Any]:
    return {"b_sku": line["sku"], "b_qty": line["qty"]}


def _known(tx: Connection, order_id: str) -> dict[str, Any]:
    return _shape(tx.execute(_reservation_to_change, {"b_order": order_id}).mappings().one())


def _shape(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in row.items() if value is not None and name != "seq"}
