"""F3: the second request under an Idempotency-Key gets 202 while the first is undecided; then the order is deleted."""

from campus import order_store
from producer_order.app import create_app
from producer_order.order_publisher import OrderPublisher

PART = "streaming-kafka"
SERVICE = "order"
STORY = "broker_dies"
CAUGHT_BY = ("INV-1",)
REPLACES = ("producer_order.order_publisher.OrderPublisher._write",)


def _write(self, order, key, pending_step):
    """Store the order with its pending step; return it, or the one that the key made before."""
    with self._database.transaction() as tx:
        placed = order_store.place(tx, order, key=key, pending_step=pending_step)
        self._faults.crash_at("before_commit")
    self._faults.crash_at("after_commit")
    return placed


OrderPublisher._write = _write

__all__ = ["create_app"]
