"""F11: a process that starts takes all orders with a pending step for abandoned, those of a live process, too."""

from campus.clock import random_id
from campus.pending import _REGISTER, PendingSteps
from order_service.app import create_app

PART = "sync-rest"
SERVICE = "order"
STORY = "too_slow"
CAUGHT_BY = ("abandoned",)
REPLACES = ("campus.pending.PendingSteps.renew",)


def renew(self):
    """Say that this process lives; at its start, take over everything."""
    self._renewed = self._clock()
    if not self.owner:
        self.owner = random_id()
        with self._database.transaction() as tx:
            tx.execute(_REGISTER, {"owner": self.owner})
            tx.execute("UPDATE orders SET owner = :heir WHERE pending IS NOT NULL", {"heir": self.owner})
    return False


PendingSteps.renew = renew

__all__ = ["create_app"]
