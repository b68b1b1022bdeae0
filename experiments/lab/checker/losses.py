"""What a run cost: orders that were lost, duplicated, or left unresolved. Each is named, from the raw files alone."""

from collections import Counter

from lab.checker.invariants import FINAL, RunIndex
from lab.history.model import Operation


def lost(e: RunIndex) -> list[str]:
    """Return who was told that an order is accepted, and it is not there, or not done though it says so."""
    done = e.holding_by_order & {n["order_id"] for n in e.notifications}

    def is_lost(op: Operation) -> bool:
        order = e.orders.get(op.order_id or "")
        if order is None:
            return True
        if order["status"] == "failed":
            return op.kind == "201"  # the client was told that it is reserved
        return order["status"] == "notified" and op.order_id not in done

    return [op.op for op in e.operations.values() if op.result == "ok" and is_lost(op)]


def duplicated(e: RunIndex) -> list[str]:
    """Return the orders with two reservations or two notifications, and the clients of whose order two were made."""
    reservations = Counter(r["order_id"] for r in e.holding)
    notifications = Counter(n["order_id"] for n in e.notifications)
    twice = {order_id for order_id, n in (*reservations.items(), *notifications.items()) if n > 1}
    clients = {user for user, orders in e.orders_of.items() if sum(o["order_id"] in reservations for o in orders) > 1}
    return sorted(twice | clients)


def unresolved(e: RunIndex) -> list[str]:
    """Return the orders that are in no final state."""
    return [order_id for order_id, order in e.orders.items() if order["status"] not in FINAL]
