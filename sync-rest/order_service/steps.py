"""The steps of an order, each a call to another service and a commit of what came of it.

A request takes the steps while the student waits. What a request could not finish is written down as owed, in the
same commit, and the resolver takes it from there, in this process or in the next one:

    ask      no answer came: find out whether inventory holds a reservation
    release  inventory must hold none: it answered 5xx, or had never seen the order when it was asked
    notify   the student has not been told yet
"""

import contextlib
import logging
import time

from campus import order_book, stock
from campus.database import Database
from campus.faults import Faults
from campus.neighbours import Neighbour, NoAnswer, NotSent
from campus.order_book import Debt
from campus.orders import FAILED, NOTIFIED, PLACED, RESERVED, UNKNOWN, Order

log = logging.getLogger("campus")

REFUSALS = (stock.UNKNOWN_SKU, stock.INSUFFICIENT_STOCK, stock.INJECTED)
RETRY_SECONDS = 1.0
ROUND = 100


class Steps:
    """What the order service does to an order."""

    def __init__(self, *, database: Database, inventory: Neighbour, notification: Neighbour, faults: Faults) -> None:
        self._database, self._faults = database, faults
        self._inventory, self._notification = inventory, notification

    def deadline(self) -> float:
        """Return until when an order that is placed now belongs to its request; afterwards the resolver steps in."""
        return time.time() + 2 * self._faults.timeout + RETRY_SECONDS  # a request takes at most two time-outs

    def place(self, order: Order, key: str | None, deadline: float) -> Order:
        """Commit the order before anyone is asked, and return it, or the one its Idempotency-Key made before."""
        with self._database.transaction() as tx:
            placed = order_book.place(tx, order, key=key, owed=Debt("ask", deadline))
            self._faults.crash_at("before_commit")
        self._faults.crash_at("after_commit")
        return placed

    def refuse(self, order: Order, reason: str) -> Order:
        """Fail an order without asking anyone."""
        return self._save(order, order.advance(FAILED, reason=reason))

    def fulfil(self, order: Order, deadline: float) -> Order:
        """Ask inventory for the items, once, tell the student, and return the order as far as it came.

        What came of both calls is one commit. A process killed before it left the order owed an `ask`, and the next
        one hears from inventory that it is reserved.
        """
        body = {"order_id": order.order_id, "items": order.items}
        try:
            reply = self._inventory.post("/reserve", body, **self._call(order))
        except NotSent:
            return self._save(order, order.advance(FAILED, reason="inventory_unreachable"), keep_key=False)
        except NoAnswer:
            return self._save(order, order.advance(UNKNOWN, reason="inventory_timeout"), owed=_now("ask"))
        reason = reply.body.get("reason")
        if reply.status == 200:
            return self._notify(order, order.advance(RESERVED), deadline)
        if reason in REFUSALS:
            return self._save(order, order.advance(FAILED, reason=reason))
        unknown = order.advance(UNKNOWN, reason="inventory_error")
        return self._save(order, unknown, owed=_now("release"), keep_key=False)

    def _notify(self, placed: Order, reserved: Order, deadline: float) -> Order:
        if time.time() < deadline:  # else the resolver may have decided to release, and nobody must be told
            with contextlib.suppress(NotSent, NoAnswer):
                notified = self._send(reserved)
                if notified:
                    return self._save(placed, notified)
        return self._save(placed, reserved, owed=_now("notify"))

    def resolve(self) -> bool:
        """Do what is owed to the orders whose time has come; return whether any of it got done.

        A neighbour that cannot be reached ends the round: the other orders need not wait for the same time-out.
        """
        with self._database.transaction() as tx:
            due = order_book.due(tx, now=time.time(), limit=ROUND)
        progress = False
        for order, owed in due:
            done = False
            try:
                done = self._do(order, owed)
            except (NotSent, NoAnswer) as error:
                log.warning("cannot %s yet", owed, extra={"fields": _fields(order) | {"why": str(error)}})
                self._postpone(order)
                return progress
            except Exception:  # one order that cannot be resolved must not hold up the others
                log.exception("cannot %s", owed, extra={"fields": _fields(order)})
            if not done:
                self._postpone(order)
            progress = progress or done
        return progress

    def start_over(self) -> None:
        """Make due what an earlier process left unfinished."""
        with self._database.transaction() as tx:
            left = order_book.make_all_due(tx)
        if left:
            log.info("%d orders were left unfinished", left)

    def _do(self, order: Order, owed: str) -> bool:
        if owed == "notify":
            notified = self._send(order)
            done = notified is not None and self._save(order, notified) is notified
        else:
            done = self._ask(order) if owed == "ask" else self._release(order)
        if done:
            log.info("%s done", owed, extra={"fields": _fields(order)})
        return done

    def _ask(self, order: Order) -> bool:
        reply = self._inventory.get(f"/reservations/{order.order_id}", **self._call(order))
        if reply.status == 404:
            # The request may still be on its way. Decide first, and write it down: from here on the order fails,
            # whatever else inventory does.
            decided = self._decide_to_release(order)
            return decided is None or self._release(decided)
        if reply.status != 200:
            return False
        held = reply.body.get("status")
        if held == stock.RESERVED:
            self._save(order, order.advance(RESERVED, at=reply.body.get("at")), owed=_now("notify"))
        elif held in (stock.FAILED, stock.RELEASED):
            self._save(order, order.advance(FAILED, reason=reply.body.get("reason") or _why(order)))
        else:
            return False
        return True

    def _decide_to_release(self, order: Order) -> Order | None:
        """Write down that this order must hold nothing; None if its own request went on and was quicker.

        The order leaves `placed`, so that a request that was frozen and goes on later cannot complete it any more.
        """
        if order.status != PLACED:
            return self._owe(order, _now("release"))
        unknown = order.advance(UNKNOWN, reason=_why(order))
        return unknown if self._save(order, unknown, owed=_now("release")) is unknown else None

    def _release(self, order: Order) -> bool:
        reply = self._inventory.post("/release", {"order_id": order.order_id}, **self._call(order))
        if reply.status == 200:
            self._save(order, order.advance(FAILED, reason=_why(order)))
        return reply.status == 200

    def _send(self, order: Order) -> Order | None:
        """Tell the student; return the order notified, not yet saved, or None when it was not accepted."""
        body = {"order_id": order.order_id, "user_id": order.user_id}
        reply = self._notification.post("/send", body, **self._call(order))
        if reply.status != 200:
            return None
        return order.advance(NOTIFIED, at=reply.body.get("at"))

    def _save(self, before: Order, after: Order, *, owed: Debt | None = None, keep_key: bool = True) -> Order:
        with self._database.transaction() as tx:
            if not order_book.save(tx, before, after, owed=owed):
                return order_book.find(tx, before.order_id) or before
            if not keep_key:
                order_book.forget_key(tx, before.order_id)
        return after

    def _owe(self, order: Order, owed: Debt) -> Order:
        with self._database.transaction() as tx:
            order_book.owe(tx, order.order_id, owed)
        return order

    def _postpone(self, order: Order) -> None:
        with self._database.transaction() as tx:
            order_book.postpone(tx, order.order_id, until=time.time() + RETRY_SECONDS)

    def _call(self, order: Order) -> dict:
        return {"timeout": self._faults.timeout, "request_id": order.request_id or order.order_id}


def _now(pending: str) -> Debt:
    return Debt(pending, time.time())


def _why(order: Order) -> str:
    return order.reason or "interrupted"


def _fields(order: Order) -> dict[str, str | None]:
    return {"order_id": order.order_id, "request_id": order.request_id}
