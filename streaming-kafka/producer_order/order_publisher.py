"""How an order gets into the log: stored with a pending step, published, and the step cleared when Kafka has it.

An order belongs to its request until the request ends; then to the loop, of this process or, when it is gone, of
another. So an event that was certainly not sent leaves nothing behind: no other process has published the order. Where
the outcome is unknown, the step stays pending: the event is published again, under the same event id, until Kafka has
acknowledged it; every consumer recognises the repetition.
"""

import contextlib
import logging

from broker.producer import BrokerDown, Producer
from campus import order_store, trace
from campus.database import CommitUnknown, Database, DatabaseDown
from campus.events import order_placed
from campus.faults import Faults
from campus.lifecycle import PartGroup
from campus.loop import Loop
from campus.order_store import PendingStep
from campus.orders import FAILED, Order
from campus.pending import PendingSteps
from campus.problems import Problem

log = logging.getLogger("campus")

RETRY_SECONDS = 1.0
PUBLISH = "publish"


class OrderPublisher(PartGroup):
    """Publishes orders, for requests and, where they could not finish it, in a loop of its own."""

    def __init__(self, *, database: Database, pending: PendingSteps, producer: Producer, faults: Faults) -> None:
        super().__init__(Loop("order-publisher", self.recover))
        self._database, self._pending, self._producer, self._faults = database, pending, producer, faults

    def place(self, order: Order, key: str | None) -> Order:
        """Return the order, or the one its Idempotency-Key made before, once Kafka has it.

        Raises a 503 Problem when nothing was accepted, a 504 Problem when the outcome is unknown, and a 409 Problem
        when the outcome of the order that was made before is not known yet.
        """
        owned = self._pending.step(PUBLISH)
        with self._pending.held(order.order_id):
            placed = self._write(order, key, None if order.status == FAILED else owned)
            if placed is order and order.status != FAILED:
                self._publish(order, owned)
        return placed

    def recover(self) -> bool:
        """Publish again the orders whose step is still pending; return whether any was acknowledged."""
        due = list(self._pending.due(PUBLISH))
        if not due:
            return False
        troubles = self._producer.publish([order_placed(order) for order in due])
        with self._database.transaction() as tx:
            for order, trouble in zip(due, troubles, strict=False):  # after a trouble the rest was not sent
                if trouble:
                    self._pending.postpone(order.order_id, RETRY_SECONDS)
                else:
                    order_store.clear_pending(tx, order.order_id)
        return not all(troubles)

    def _write(self, order: Order, key: str | None, pending_step: PendingStep | None) -> Order:
        """Store the order with its pending step; return it, or the one that the key made before."""
        try:
            with self._database.transaction() as tx:
                placed = order_store.place(tx, order, key=key, pending_step=pending_step)
                undecided = placed is not order and order_store.is_pending(tx, placed.order_id)
                self._faults.crash_at("before_commit")
            trace.note("commit", placed.order_id, placed.status)
        except CommitUnknown as error:
            raise _outcome_unknown(order, f"whether the order is stored: {error}") from error
        self._faults.crash_at("after_commit")
        if undecided:
            raise _undecided(placed)
        return placed

    def _publish(self, order: Order, owned: PendingStep) -> None:
        try:
            [trouble] = self._producer.publish([order_placed(order)])
            trace.note("confirm", order.order_id, trouble or "", by="kafka", touched=bool(trouble))
        except BrokerDown as error:
            if self._forget(order, owned.owner):
                raise _not_accepted(order, error) from None
            trouble = f"{error}; another process may have published the order"
        if trouble:
            raise _outcome_unknown(order, f"whether Kafka has the order: {trouble}")
        self._faults.crash_at("after_publish")
        # Kafka has it, and that is what counts: if this cannot be noted, it is published once more.
        with contextlib.suppress(DatabaseDown), self._database.transaction() as tx:
            order_store.clear_pending(tx, order.order_id)

    def _forget(self, order: Order, owner: str) -> bool:
        """Remove an order that was not sent; return False when it has had another owner: that one may have sent it."""
        with contextlib.suppress(DatabaseDown), self._database.transaction() as tx:
            return order_store.forget(tx, order.order_id, owner=owner)
        return False


def _not_accepted(order: Order, error: BrokerDown) -> Problem:
    detail = f"{error}. Nothing was accepted; try again later."
    return Problem(503, "kafka-unreachable", detail, headers={"Retry-After": "2"}, order_id=order.order_id)


def _outcome_unknown(order: Order, what: str) -> Problem:
    log.warning("unknown %s", what, extra={"fields": {"order_id": order.order_id}})
    detail = "Kafka did not acknowledge the order in time. It is published again until Kafka does; ask again."
    return Problem(504, "kafka-timeout", detail, headers=_look_again(order), order_id=order.order_id)


def _undecided(order: Order) -> Problem:
    detail = "The order of this Idempotency-Key is not acknowledged by Kafka yet; ask again."
    return Problem(409, "order-undecided", detail, headers=_look_again(order), order_id=order.order_id)


def _look_again(order: Order) -> dict[str, str]:
    return {"Location": f"/orders/{order.order_id}", "Retry-After": "1"}
