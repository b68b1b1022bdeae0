"""The order: its lines, its states, and the only ways from one state to the next."""

import random
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from campus import clock
from campus.ids import new_order_id

MENU = ("burger", "fries", "pizza", "salad", "sandwich", "soda", "sushi", "taco")

PLACED, RESERVED, NOTIFIED, FAILED, UNKNOWN = "placed", "reserved", "notified", "failed", "unknown"
STATUSES = (PLACED, UNKNOWN, RESERVED, NOTIFIED, FAILED)
FINAL = frozenset({NOTIFIED, FAILED})

# `unknown` is Part A's only: a reservation was asked for, and no answer came.
NEXT = {
    PLACED: frozenset({RESERVED, FAILED, UNKNOWN}),
    UNKNOWN: frozenset({RESERVED, FAILED}),
    RESERVED: frozenset({NOTIFIED}),
    NOTIFIED: frozenset(),
    FAILED: frozenset(),
}

Item = dict[str, Any]  # {"sku": str, "qty": int}


class IllegalTransition(ValueError):
    """An order was asked to go from its state to one that does not follow it."""


@dataclass(frozen=True, slots=True)
class Order:
    """One student's order at one moment. Changing it makes a new one; `as_dict` is its shape on the wire."""

    order_id: str
    user_id: str
    items: list[Item]
    status: str
    timeline: list[dict[str, str]]
    reason: str | None = None
    request_id: str | None = None

    @classmethod
    def place(cls, *, user_id: str, items: list[Item], request_id: str | None = None) -> "Order":
        """Return a new order, placed now, under an id that sorts by time."""
        timeline = [{"status": PLACED, "at": utc_now()}]
        return cls(new_order_id(), user_id, items, PLACED, timeline, None, request_id)

    def advance(self, status: str, *, reason: str | None = None, at: str | None = None) -> "Order":
        """Return the order in its next state, stamped `at` (now if not given).

        Raises IllegalTransition when `status` does not follow the present one.
        """
        if status not in NEXT[self.status]:
            raise IllegalTransition(f"order {self.order_id} is {self.status} and cannot become {status}")
        step = {"status": status, "at": at or utc_now()}
        timeline = [*self.timeline, step]
        return Order(self.order_id, self.user_id, self.items, status, timeline, reason, self.request_id)

    def as_dict(self) -> dict[str, Any]:
        """Return `{order_id, user_id, items, status, reason?, timeline}`."""
        shape: dict[str, Any] = {
            "order_id": self.order_id,
            "user_id": self.user_id,
            "items": self.items,
            "status": self.status,
        }
        if self.reason:
            shape["reason"] = self.reason
        shape["timeline"] = self.timeline
        return shape


def add_up(items: list[Item]) -> list[Item]:
    """Return one line for each sku, in sku order: two lines of 2 and 3 burgers are one of 5."""
    total: dict[str, int] = {}
    for line in items:
        total[line["sku"]] = total.get(line["sku"], 0) + line["qty"]
    return [{"sku": sku, "qty": total[sku]} for sku in sorted(total)]


def drawn(count: int, seed: int) -> Iterator[tuple[str, list[Item]]]:
    """Yield `(user_id, items)` of so many orders of one line each: the same for a seed."""
    chance = random.Random(seed)
    skus, quantities = chance.choices(MENU, k=count), chance.choices((1, 2, 3), k=count)
    for n in range(count):
        yield f"bulk-{seed}-{n:06d}", [{"sku": skus[n], "qty": quantities[n]}]


def utc_now() -> str:
    """Return the UTC time with microseconds, as in `2026-01-31T12:00:00.000001Z`."""
    return utc_time(clock.now())


def utc_time(at: datetime) -> str:
    """Return a UTC time as `utc_now` does: later ones sort after earlier ones."""
    return at.isoformat(timespec="microseconds")[:-6] + "Z"
