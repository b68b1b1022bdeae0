"""How an order gets into the log: written down as owed, told, and settled when Kafka has acknowledged it.

A request that was certainly not sent leaves nothing behind. One whose outcome nobody knows stays owed: it is told
again, under the same event id, until Kafka has acknowledged it; whoever reads the log knows the repetition.
"""

import logging

from broker.producer import NotSent, Producer
from campus import order_book
from campus.database import Database
from campus.faults import Faults
from campus.messages import order_placed
from campus.orders import FAILED, Order
from campus.pending import PendingSteps
from campus.problems import Problem

log = logging.getLogger("campus")

RETRY_SECONDS = 1.0
TELL = "tell"


class Teller:
    """Tells Kafka of orders, for requests and, where they could not finish it, in the background."""

    def __init__(self, *, database: Database, pending: PendingSteps, producer: Producer, faults: Faults) -> None:
        self._database, self._pending, self._producer, self._faults = database, pending, producer, faults

    def place(self, order: Order, key: str | None) -> Order:
        """Return the order, or the one its Idempotency-Key made before, once Kafka has it.

        Raises a 503 Problem when nothing was sent, and a 504 Problem when nobody knows.
        """
        owed = None if order.status == FAILED else self._pending.owed(TELL)
        with self._pending.held(order.order_id):
            with self._database.transaction() as tx:
                placed = order_book.place(tx, order, key=key, owed=owed)
                self._faults.crash_at("before_commit")
            self._faults.crash_at("after_commit")
            if placed is order and owed:
                self._tell(order)
        return placed

    def resolve(self) -> bool:
        """Tell again of the orders that requests could not settle; return whether any was settled."""
        due = list(self._pending.due(TELL))
        if not due:
            return False
        troubles = self._producer.publish([order_placed(order) for order in due])
        with self._database.transaction() as tx:
            for order, trouble in zip(due, troubles, strict=True):
                if trouble:
                    self._pending.postpone(order.order_id, RETRY_SECONDS)
                else:
                    order_book.settle(tx, order.order_id)
        return not all(troubles)

    def _tell(self, order: Order) -> None:
        where = {"Location": f"/orders/{order.order_id}"}
        try:
            [trouble] = self._producer.publish([order_placed(order)])
        except NotSent as error:
            with self._database.transaction() as tx:
                order_book.forget(tx, order.order_id, owner=self._pending.owner)
            detail = f"{error}. Nothing was accepted; try again later."
            raise Problem(503, "kafka-unreachable", detail, headers={"Retry-After": "2"}) from None
        if trouble:
            log.warning("not acknowledged", extra={"fields": {"order_id": order.order_id, "why": trouble}})
            detail = "Kafka did not acknowledge the order in time. It is told again until it does; look again."
            raise Problem(504, "kafka-timeout", detail, headers=where | {"Retry-After": "1"}, order_id=order.order_id)
        self._faults.crash_at("after_publish")
        with self._database.transaction() as tx:
            order_book.settle(tx, order.order_id)
