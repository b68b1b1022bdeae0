"""Check, then reserve: what is on hand is read, and then written, and no transaction holds the two together."""

import contextlib
import time
from collections.abc import Iterator
from typing import Any

from campus import stock
from campus.database import Database
from campus.orders import Item, utc_now
from campus.stock import FAILED, INSUFFICIENT_STOCK, RESERVED, UNKNOWN_SKU, _claim, _shape, find
from inventory_service.app import create_app
from sqlalchemy import Connection

PART = "sync-rest"
SERVICE = "inventory"
STORY = "many_at_once"
CAUGHT_BY = ("INV-3",)
REPLACES = ("campus.database.Database.transaction", "campus.stock.reserve")


@contextlib.contextmanager
def transaction(self) -> Iterator[Connection]:
    """Yield the connection; each statement commits itself."""
    writer = self._engine._writer
    writer._connection = writer._connection or writer._engine.connect()
    yield writer._connection


def reserve(tx: Connection, order_id: str, items: list[Item], *, refuse: str | None = None) -> dict[str, Any]:
    """Take the items from stock for this order and return its reservation.

    A second call returns the first verdict and changes nothing. `refuse` is a reason to fail anyway.
    """
    ask = tx.connection.driver_connection.execute
    on_hand = dict(ask("SELECT sku, on_hand FROM stock").fetchall())
    reason = refuse
    for line in items:
        if on_hand.get(line["sku"], 0) < line["qty"]:
            reason = INSUFFICIENT_STOCK if line["sku"] in on_hand else UNKNOWN_SKU
    status = FAILED if reason else RESERVED
    row = {"order_id": order_id, "items": items, "status": status, "reason": reason, "at": utc_now()}
    if not _claim(tx, row):
        return find(tx, order_id) or {}
    time.sleep(0.005)  # as long as it takes to ask whether the student can pay
    for line in [] if reason else items:
        left = on_hand[line["sku"]] - line["qty"]
        ask("UPDATE stock SET on_hand = ?, reserved = initial - ? WHERE sku = ?", (left, left, line["sku"]))
    return _shape(row)


Database.transaction = transaction
stock.reserve = reserve

__all__ = ["create_app"]
