"""Check, then reserve: what is on hand is read, and then written, and no transaction holds the two together."""

import contextlib
from collections.abc import Iterator
from typing import Any

from campus import clock, stock
from campus.database import Database
from campus.orders import Item, utc_now
from campus.stock import FAILED, INSUFFICIENT_STOCK, RESERVED, UNKNOWN_SKU, _claim, find
from campus.transaction import Transaction
from inventory_service.app import create_app

PART = "sync-rest"
SERVICE = "inventory"
STORY = "many_at_once"
CAUGHT_BY = ("INV-3",)
REPLACES = ("campus.database.Database.transaction", "campus.stock.reserve")


_WRITE = "UPDATE stock SET on_hand = :left, reserved = initial - :left WHERE sku = :sku"


@contextlib.contextmanager
def transaction(self) -> Iterator[Transaction]:
    """Begin nothing: each statement commits itself."""
    writer = self._engine._writer
    writer._opened = writer._opened or Transaction(writer._engine.connect())
    yield writer._opened


def reserve(tx: Transaction, order_id: str, items: list[Item], *, refuse: str | None = None) -> dict[str, Any]:
    """Take the items from stock for this order and return its reservation.

    A second call returns the first verdict and changes nothing. `refuse` is a reason to fail anyway.
    """
    on_hand = dict(tx.execute("SELECT sku, on_hand FROM stock"))
    reason = refuse
    for line in items:
        if on_hand.get(line["sku"], 0) < line["qty"]:
            reason = INSUFFICIENT_STOCK if line["sku"] in on_hand else UNKNOWN_SKU
    status = FAILED if reason else RESERVED
    reservation = {"order_id": order_id, "items": items, "status": status, "at": utc_now()}
    reservation |= {"reason": reason} if reason else {}
    if not _claim(tx, reservation):
        return find(tx, order_id) or {}
    clock.sleep(0.005)  # as long as it takes to ask whether the student can pay
    for line in [] if reason else items:
        left = on_hand[line["sku"]] - line["qty"]
        tx.execute(_WRITE, {"sku": line["sku"], "left": left})
    return reservation


Database.transaction = transaction
stock.reserve = reserve

__all__ = ["create_app"]
