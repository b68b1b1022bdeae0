"""F10: the wall clock says when a pending step is tried again; when it is set back, the step waits for hours."""

from campus import order_store
from campus.clock import now
from campus.pending import ROUND, PendingSteps
from order_service.app import create_app

PART = "sync-rest"
SERVICE = "order"
STORY = "too_slow"
CAUGHT_BY = ("progress",)
REPLACES = ("campus.pending.PendingSteps.due", "campus.pending.PendingSteps.postpone")


def due(self, step):
    """Yield this process's orders for which this step is pending and whose time has come."""
    with self._database.reading() as tx:
        found = order_store.due(tx, owner=self.owner, step=step, after="", limit=ROUND)
    for order in found:
        if order.order_id not in self._held and self._not_before.get(order.order_id, 0.0) <= now().timestamp():
            yield order


def postpone(self, order_id, seconds):
    """Let this order not be due for so long."""
    self._not_before[order_id] = now().timestamp() + seconds


PendingSteps.due, PendingSteps.postpone = due, postpone

__all__ = ["create_app"]
