"""The saga of an order: the order service orchestrates it, by calls to the other services and a commit of each outcome.

A request runs the saga while the student waits. Where it cannot finish, it commits a pending step with the order, and a
loop takes that step, in this process or in the next one:

    ask      reconciliation: no answer came, so find out whether inventory holds a reservation
    release  compensation: inventory must hold none, as it answered 5xx, or had never seen the order when it was asked
    notify   the student has not been notified yet
"""

import contextlib
import logging
from functools import partial

from campus import clock, order_store, stock, trace
from campus.database import Database
from campus.faults import Faults
from campus.lifecycle import PartGroup
from campus.loop import Loop
from campus.orders import FAILED, NOTIFIED, PLACED, RESERVED, UNKNOWN, Order
from campus.pending import PendingSteps
from campus.service_client import ConnectFailed, OutcomeUnknown, ServiceClient

log = logging.getLogger("campus")

REFUSALS = (stock.UNKNOWN_SKU, stock.INSUFFICIENT_STOCK, stock.INJECTED)
RETRY_SECONDS = 1.0
STEPS = ASK, RELEASE, NOTIFY = "ask", "release", "notify"


class OrderSaga(PartGroup):
    """Runs the saga of an order, in its request and in a loop for each step.

    A service that hangs holds up the loop of the step in which it is called, and no other.
    """

    def __init__(
        self,
        *,
        database: Database,
        pending: PendingSteps,
        inventory: ServiceClient,
        notification: ServiceClient,
        faults: Faults,
    ) -> None:
        self._database, self._pending, self._faults = database, pending, faults
        self._inventory, self._notification = inventory, notification
        self._calls_until: dict[str, float] = {}
        super().__init__(*(self._loop(step) for step in STEPS))

    def _loop(self, step: str) -> Loop:
        return Loop(step, partial(self.reconcile, step), waits_until=partial(self.calls_until, step))

    def place(self, order: Order, key: str | None) -> Order:
        """Commit the order before anyone is asked, and return it, or the one its Idempotency-Key made before."""
        with self._database.transaction() as tx:
            placed = order_store.place(tx, order, key=key, pending_step=self._pending.step(ASK))
            self._faults.crash_at("before_commit")
        trace.note("commit", placed.order_id, placed.status)
        self._faults.crash_at("after_commit")
        return placed

    def refuse(self, order: Order, reason: str) -> Order:
        """Fail an order without asking anyone."""
        return self._save(ASK, order, order.advance(FAILED, reason=reason))

    def run(self, order: Order) -> Order:
        """Ask inventory for the items, once, notify the student, and return the order as far as it came.

        The outcome of both calls is one commit. A process that is killed before it leaves an `ask` pending, and the
        next process hears from inventory that the order is reserved.
        """
        body = {"order_id": order.order_id, "items": order.items}
        try:
            reply = self._inventory.post("/reserve", body, **self._call(order))
            if reply.status == 200 and reply.body.get("status") != stock.RESERVED:
                raise OutcomeUnknown("this 200 does not say that anything is reserved")
        except ConnectFailed:
            return self._save(ASK, order, order.advance(FAILED, reason="inventory_unreachable"))
        except OutcomeUnknown:
            return self._save(ASK, order, order.advance(UNKNOWN, reason="inventory_timeout"), then=ASK)
        reason = reply.body.get("reason")
        if reply.status == 200:
            return self._notify(order, order.advance(RESERVED))
        if reason in REFUSALS:
            return self._save(ASK, order, order.advance(FAILED, reason=reason))
        return self._save(ASK, order, order.advance(UNKNOWN, reason="inventory_error"), then=RELEASE)

    def _notify(self, placed: Order, reserved: Order) -> Order:
        if self._pending.owns():  # else another process may have released the order
            with contextlib.suppress(ConnectFailed, OutcomeUnknown):
                notified = self._send(reserved)
                if notified:
                    return self._save(ASK, placed, notified)
        return self._save(ASK, placed, reserved, then=NOTIFY)

    def reconcile(self, step: str) -> bool:
        """Take this step for the orders that wait for it; return whether it got done for any.

        A service that cannot be reached ends the round: the other orders need not wait for the same time-out.
        """
        progress = False
        for order in self._pending.due(step):
            self._calls_until[step] = clock.monotonic() + 2 * self._faults.timeout
            try:
                done = self._take(step, order)
            except (ConnectFailed, OutcomeUnknown) as error:
                log.warning("cannot %s yet", step, extra={"fields": _fields(order) | {"why": str(error)}})
                self._pending.postpone(order.order_id, RETRY_SECONDS)
                return progress
            except ConnectionError:  # the database is away, which is no order's fault
                raise
            except Exception:  # one order that cannot be resolved must not hold up the others
                log.exception("cannot %s", step, extra={"fields": _fields(order)})
                done = False
            if not done:
                self._pending.postpone(order.order_id, RETRY_SECONDS)
            progress = progress or done
        return progress

    def calls_until(self, step: str) -> float:
        """When the last calls of this step ended or will have ended at the latest, by the monotonic clock."""
        return self._calls_until.get(step, 0.0)

    def _take(self, step: str, order: Order) -> bool:
        if step == NOTIFY:
            notified = self._send(order)
            done = notified is not None and self._save(NOTIFY, order, notified) is notified
        else:
            done = self._ask(order) if step == ASK else self._compensate(order)
        if done:
            log.info("%s done", step, extra={"fields": _fields(order)})
        return done

    def _ask(self, order: Order) -> bool:
        reply = self._inventory.get(f"/reservations/{order.order_id}", **self._call(order))
        if reply.status == 404:
            # The request may still be on its way. Decide first, and write it down: from here on the order fails,
            # whatever else inventory does.
            decided = self._decide_to_release(order)
            return decided is None or self._compensate(decided)
        if reply.status != 200:
            return False
        held = reply.body.get("status")
        if held == stock.RESERVED:
            self._save(ASK, order, order.advance(RESERVED, at=reply.body.get("at")), then=NOTIFY)
        elif held in (stock.FAILED, stock.RELEASED):
            self._save(ASK, order, order.advance(FAILED, reason=reply.body.get("reason") or _why(order)))
        else:
            return False
        return True

    def _decide_to_release(self, order: Order) -> Order | None:
        """Write down that this order must hold nothing; None if it went on meanwhile: another process was quicker.

        From now on only a release is pending: a process that knows the order from before cannot complete it.
        """
        unknown = order.advance(UNKNOWN, reason=_why(order)) if order.status == PLACED else order
        return unknown if self._save(ASK, order, unknown, then=RELEASE) is unknown else None

    def _compensate(self, order: Order) -> bool:
        reply = self._inventory.post("/release", {"order_id": order.order_id}, **self._call(order))
        if reply.status == 200:
            self._save(RELEASE, order, order.advance(FAILED, reason=_why(order)))
        return reply.status == 200

    def _send(self, order: Order) -> Order | None:
        """Tell the student; return the order notified, not yet saved, or None when it was not accepted."""
        body = {"order_id": order.order_id, "user_id": order.user_id}
        reply = self._notification.post("/send", body, **self._call(order))
        if reply.status != 200:
            return None
        return order.advance(NOTIFIED, at=reply.body.get("at"))

    def _save(self, step: str, before: Order, after: Order, *, then: str | None = None) -> Order:
        """Write what came of a step, and which step is pending then; return the order as it is now.

        An order that fails without a verdict, or is to be released, frees its key: nothing was done under it.
        """
        with self._database.transaction() as tx:
            if not order_store.save(
                tx, before, after, step=step, pending_step=self._pending.step(then) if then else None
            ):
                return order_store.find(tx, before.order_id) or before
            if then == RELEASE or (after.status == FAILED and after.reason not in REFUSALS):
                order_store.forget_key(tx, before.order_id)
        trace.note("commit", after.order_id, after.status)
        return after

    def _call(self, order: Order) -> dict:
        return {"timeout": self._faults.timeout, "request_id": order.request_id or order.order_id}


def _why(order: Order) -> str:
    return order.reason or "interrupted"


def _fields(order: Order) -> dict[str, str | None]:
    return {"order_id": order.order_id, "request_id": order.request_id}
