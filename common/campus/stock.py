"""Stock and reservations: all or nothing over the lines of an order, and idempotent by order.

Every function works inside the transaction it is given, so that a service can put more into the same one.
A reservation is `{order_id, items, status, reason?, at}`, its status `reserved`, `released` or `failed`.
"""

import json
from collections.abc import Iterable, Sequence
from typing import Any

from sqlalchemy import BigInteger, CheckConstraint, Column, MetaData, String, Table, Text

from campus import jsons, sequence
from campus.orders import MENU, Item, utc_now
from campus.transaction import Transaction

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
    Column("items", Text, nullable=False),  # JSON
    Column("status", String(16), nullable=False),
    Column("reason", String(32)),
    Column("at", String(32), nullable=False),
    sequence.seq(),
    sqlite_with_rowid=False,  # the key is the table: one page to write instead of two
)
sequence.index(reservations)

# The guard and the change are one statement: between a check and an update another thread could take the last one.
_TAKE = "UPDATE stock SET on_hand = on_hand - :qty, reserved = reserved + :qty WHERE sku = :sku AND on_hand >= :qty"
_LOCK = "SELECT sku FROM stock WHERE sku IN :skus ORDER BY sku FOR UPDATE"
_PUT_BACK = "UPDATE stock SET on_hand = on_hand + :qty, reserved = reserved - :qty WHERE sku = :sku"
_ADD_SKU = "INSERT INTO stock (sku, initial, on_hand, reserved) VALUES (:sku, :n, :n, 0) ON CONFLICT DO NOTHING"
_ADD = "UPDATE stock SET initial = initial + :qty, on_hand = on_hand + :qty WHERE sku = :sku"
_SET = "UPDATE stock SET initial = initial + :qty - on_hand, on_hand = :qty WHERE sku = :sku"
_LEVELS = "SELECT sku, initial, on_hand, reserved FROM stock ORDER BY sku"
_IS_SKU = "SELECT 1 FROM stock WHERE sku = :sku"

_COLUMNS = "order_id, items, status, reason, at"
_CLAIM = sequence.insert_if_absent("reservations", *_COLUMNS.split(", "))
_FIND = f"SELECT {_COLUMNS} FROM reservations WHERE order_id = :order_id"
_REFUSE = "UPDATE reservations SET status = 'failed', reason = :reason WHERE order_id = :order_id"
_RELEASE = "UPDATE reservations SET status = 'released', at = :at WHERE order_id = :order_id AND status = 'reserved'"


def reserve(tx: Transaction, order_id: str, items: list[Item], *, refuse: str | None = None) -> dict[str, Any]:
    """Take the items from stock for this order and return its reservation.

    A second call returns the first verdict and changes nothing. `items` must be added up and in sku order
    (`orders.add_up`), so that two orders lock the same rows in the same order. `refuse` is a reason to fail anyway.
    """
    reservation = {"order_id": order_id, "items": items, "status": RESERVED, "at": utc_now()}
    if not _claim(tx, reservation):
        return _as_dict(tx.execute(_FIND, {"order_id": order_id}).fetchone())
    reason = refuse or _take_all(tx, items)
    if reason:
        tx.execute(_REFUSE, {"order_id": order_id, "reason": reason})
        reservation |= {"status": FAILED, "reason": reason}
    return reservation


def lock(tx: Transaction, orders: Iterable[list[Item]]) -> None:
    """Take the rows that the items of all these orders need, in sku order, before the first of them is reserved.

    Replicas that each reserve many orders in one transaction would else wait for each other's rows, in a circle.
    """
    if tx.kind == "postgresql":  # SQLite has one writer at a time
        tx.execute(_LOCK, {"skus": sorted({item["sku"] for items in orders for item in items})}).fetchall()


def release(tx: Transaction, order_id: str) -> dict[str, Any]:
    """Give back what this order holds, if anything, and return its reservation. Idempotent.

    An order that is not known yet is marked as released all the same: a reservation request for it that is still
    on its way then comes too late and takes nothing.
    """
    nothing = {"order_id": order_id, "items": [], "status": RELEASED, "at": utc_now()}
    if _claim(tx, nothing):
        return nothing
    held = tx.execute(_RELEASE, {"order_id": order_id, "at": nothing["at"]}).rowcount == 1
    reservation = _as_dict(tx.execute(_FIND, {"order_id": order_id}).fetchone())
    if held:
        tx.executemany(_PUT_BACK, reservation["items"])
    return reservation


def find(tx: Transaction, order_id: str) -> dict[str, Any] | None:
    """Return this order's reservation, or None."""
    row = tx.execute(_FIND, {"order_id": order_id}).fetchone()
    return _as_dict(row) if row else None


def page(tx: Transaction, *, after: str, limit: int) -> list[dict[str, Any]]:
    """Return at most `limit` reservations that were committed after that of the order `after`: oldest first.

    Raises a 400 Problem when there is none of this order.
    """
    return [_as_dict(row) for row in sequence.page(tx, "reservations", _COLUMNS, after=after, limit=limit)]


def levels(tx: Transaction) -> dict[str, dict[str, int]]:
    """Return `{sku: {initial, on_hand, reserved}}`; initial = on_hand + reserved, always."""
    rows = tx.execute(_LEVELS)
    return {sku: {"initial": first, "on_hand": left, "reserved": taken} for sku, first, left, taken in rows}


def change(tx: Transaction, sku: str, *, add: int | None = None, put: int | None = None) -> None:
    """Add this many of a sku, or make it so many on hand (`put`); what is reserved stays. A new sku is made."""
    tx.execute(_ADD_SKU, {"sku": sku, "n": 0})
    if put is not None:
        tx.execute(_SET, {"sku": sku, "qty": put})
    else:
        tx.execute(_ADD, {"sku": sku, "qty": add})


def fill(tx: Transaction, initial: str | None) -> None:
    """Put the menu on the shelf, once: skus that are there stay as they are.

    `initial` is `INITIAL_STOCK`: a number for every sku, or JSON as in `{"burger": 5}`. Raises ValueError.
    """
    for sku, count in sorted(_parse_initial(initial).items()):  # two services at once wait for each other in one order
        tx.execute(_ADD_SKU, {"sku": sku, "n": count})


def _parse_initial(initial: str | None) -> dict[str, int]:
    try:
        given = json.loads(initial) if initial else DEFAULT_STOCK
    except ValueError:
        given = None
    counts: dict[str, Any] = given if isinstance(given, dict) else dict.fromkeys(MENU, given)
    if not all(type(count) is int and count >= 0 for count in counts.values()):
        raise ValueError(f'INITIAL_STOCK must be a number, or JSON such as {{"burger": 5}}; it is {initial}')
    return counts


def _claim(tx: Transaction, reservation: dict[str, Any]) -> bool:
    """Write a reservation, unless its order has one."""
    row = {"reason": None} | reservation | {"items": jsons.string(reservation["items"])}
    return tx.execute(_CLAIM[tx.kind], row).rowcount == 1


def _take_all(tx: Transaction, items: list[Item]) -> str | None:
    """Take every line, or none and return the reason."""
    for n, line in enumerate(items):
        if tx.execute(_TAKE, line).rowcount == 0:
            tx.executemany(_PUT_BACK, items[:n])
            return INSUFFICIENT_STOCK if tx.execute(_IS_SKU, line).fetchone() else UNKNOWN_SKU
    return None


def _as_dict(row: Sequence[Any]) -> dict[str, Any]:
    order_id, items, status, reason, at = row
    why = {"reason": reason} if reason else {}
    return {"order_id": order_id, "items": jsons.loads(items), "status": status, **why, "at": at}
