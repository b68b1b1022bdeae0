"""What happens to some orders, message by message: recorded while an experiment runs, off otherwise.

With TRACE_ORDERS=20 a service writes a line of its log for each call, message, confirmation and commit of the first 20
orders after each second without a new one, and of every order that a fault touches. `lab` collects them from the logs.
"""

import logging
import os
import re
import time
from collections.abc import Iterable
from typing import Any

log = logging.getLogger("campus")

QUIET_SECONDS = 1.0  # a load has ended, another begins
SLOW_SECONDS = 1.0  # a request that takes so long was touched by a fault
MAX_FOLLOWED = 500  # orders of one process
_ORDER_ID = re.compile(rb'"order_id": ?"([^"]{1,64})"')


class Trace:
    """The orders that this process follows."""

    def __init__(self, orders: int) -> None:
        self._orders, self._left = orders, orders
        self._followed: set[str] = set()
        self._last = 0.0

    def follows(self, order_id: str, *, touched: bool) -> bool:
        """Return whether this order's messages are recorded; begin with it, if it is one of the first or touched."""
        if order_id in self._followed:
            return True
        now = time.monotonic()
        if now - self._last > QUIET_SECONDS:
            self._left = self._orders
        self._last = now
        if not (touched or self._left) or len(self._followed) >= MAX_FOLLOWED:
            return False
        self._left = max(0, self._left - 1)
        self._followed.add(order_id)
        return True


_trace = Trace(int(os.environ.get("TRACE_ORDERS") or 0))
on = _trace._orders > 0


def note(kind: str, order_id: str | None, text: str = "", *, touched: bool = False, **more: Any) -> None:
    """Record one thing that happens to an order: `kind` is one of `lab.trace.entries`.

    `more` says `to` whom something goes or `by` whom it comes, and its `event_id`; `touched` that it shows a fault.
    """
    if on and order_id and _trace.follows(order_id, touched=touched):
        fields = {"trace": kind, "monotonic_ns": time.monotonic_ns(), "order_id": order_id, "what": text, **more}
        if touched:
            fields["touched"] = True
        log.info("trace", extra={"fields": fields})


def each(kind: str, order_ids: Iterable[str | None], text: str = "", **more: Any) -> None:
    """Record the same for each of these orders."""
    if on:
        for order_id in order_ids:
            note(kind, order_id, text, **more)


def request(order_id: str, request: str, status: int, seconds: float) -> None:
    """Record a request that was answered, with the seconds that it took."""
    touched = status >= 500 or seconds > SLOW_SECONDS
    note("request", order_id, request, touched=touched, status=status, seconds=round(seconds, 6))


def order_of(body: bytes) -> str | None:
    """Return the order that a message is about."""
    found = _ORDER_ID.search(body) if on else None
    return found[1].decode(errors="replace") if found else None
