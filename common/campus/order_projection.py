"""The projection of the log into the order store: events bring orders to the states that they report.

An event that comes again changes nothing. An event may also come before the one that it follows from: topics and queues
are read side by side, in no common order.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence

from campus import order_store
from campus.events import INVENTORY_FAILED, INVENTORY_RESERVED, NOTIFICATION_SENT, ORDER_PLACED, Event
from campus.order_store import Step
from campus.orders import FAILED, NOTIFIED, PLACED, RESERVED, Order
from campus.transaction import Transaction

_STATUS_OF = {ORDER_PLACED: PLACED, INVENTORY_RESERVED: RESERVED, INVENTORY_FAILED: FAILED, NOTIFICATION_SENT: NOTIFIED}


def project(tx: Transaction, events: Sequence[Event]) -> list[Event]:
    """Bring orders to the states that these events report.

    An order that is not in the store is written if its OrderPlaced is among them. Returns the events that come too
    early: of an order that is not in the store, or notified before it was reserved. Raises IllegalTransition for an
    event that can never follow.
    """
    of_status: dict[str, list[Event]] = defaultdict(list)
    for event in events:
        of_status[_STATUS_OF[event.event_type]].append(event)
    order_store.insert_many(tx, [_order_placed(event) for event in of_status[PLACED]])
    steps = [
        Step(event.order_id, before, status, event.occurred_at, event.data.get("reason"))
        for before, status in ((PLACED, RESERVED), (PLACED, FAILED), (RESERVED, NOTIFIED))
        for event in of_status[status]
    ]
    if order_store.advance_many(tx, steps) == len(steps):
        return []
    return _with_a_look(tx, events)  # some of them came again, or too early


def _with_a_look(tx: Transaction, events: Sequence[Event]) -> list[Event]:
    """Do the same for events that may have been applied already: read each order, and write it once."""
    by_order: dict[str, dict[str, Event]] = defaultdict(dict)
    for event in events:
        by_order[event.order_id][_STATUS_OF[event.event_type]] = event
    known = order_store.find_many(tx, by_order.keys())
    new, changes, early = [], [], []
    for order_id, reported in by_order.items():
        before = known.get(order_id)
        if before is None and PLACED not in reported:
            early += reported.values()
            continue
        after, too_early = _after(before or _order_placed(reported[PLACED]), reported)
        early += too_early
        if before is None:
            new.append(after)
        elif after is not before:
            changes.append((before, after))
    if order_store.insert_many(tx, new) < len(new):  # another process was quicker: look at what it wrote
        return _with_a_look(tx, events)
    order_store.save_many(tx, changes)
    return early


def _after(order: Order, reported: Mapping[str, Event]) -> tuple[Order, list[Event]]:
    """Return the order after these events, by the statuses that they report, and those that come too early."""
    early, past = [], {step["status"] for step in order.timeline}
    for status in (RESERVED, NOTIFIED, FAILED):
        event = reported.get(status)
        if event is None or status in past:
            continue
        if status == NOTIFIED and order.status == PLACED:
            early.append(event)
        else:
            order = order.advance(status, reason=event.data.get("reason"), at=event.occurred_at)
    return order, early


def _order_placed(event: Event) -> Order:
    timeline = [{"status": PLACED, "at": event.occurred_at}]
    user_id, items = event.data["user_id"], event.data["items"]
    return Order(event.order_id, user_id, items, PLACED, timeline, None, event.request_id)
