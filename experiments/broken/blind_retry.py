"""A retry without idempotency: what is not answered in time is asked for again, as if it had never been asked."""

from campus import stock
from campus.ids import new_order_id
from campus.orders import FAILED, RESERVED, UNKNOWN, Order
from campus.service_client import ConnectFailed, OutcomeUnknown
from order_service.app import create_app
from order_service.saga import ASK, REFUSALS, RELEASE, OrderSaga

PART = "sync-rest"
SERVICE = "order"
STORY = "too_slow"
CAUGHT_BY = ("INV-4",)
REPLACES = ("order_service.saga.OrderSaga.run",)


def run(self, order: Order) -> Order:
    """Ask inventory for the items, at most twice, notify the student, and return the order as far as it came.

    The outcome of both calls is one commit. A process that is killed before it leaves an `ask` pending, and the
    next process hears from inventory that the order is reserved.
    """
    body = {"order_id": order.order_id, "items": order.items}
    try:
        try:
            reply = self._inventory.post("/reserve", body, **self._call(order))
        except OutcomeUnknown:
            body = {"order_id": new_order_id(), "items": order.items}
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


OrderSaga.run = run

__all__ = ["create_app"]
