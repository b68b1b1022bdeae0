"""Measures where the processor time of Part B goes, each part alone, and prints it as JSON lines (microseconds).

`./lab bench async-rabbitmq` runs it; it is not a test. Usage: cost_by_part.py RABBITMQ_URL
"""

import itertools
import sys
import tempfile
import time

from broker.publisher import Outgoing, Publisher
from campus import inbox, notifications, order_store, outbox, stock
from campus.database import Database
from campus.events import INVENTORY_RESERVED, NOTIFICATION_SENT, new_event, order_placed
from campus.orders import Order
from campus.retry import WorkItem
from inventory_service import app as inventory
from notification_service import app as notification
from order_service import app as order_service
from testing import cost_parts
from testing.cost_parts import ITEMS, Parts, placed

BATCH = 100


def main(url: str) -> None:
    """Measure each part and print it."""
    with tempfile.TemporaryDirectory() as folder:
        service = order_service.create_app({"DATABASE_URL": f"sqlite:///{folder}/app.db"})
        web = cost_parts.web(service, "web and storage: POST /order as a whole")
        cost_parts.show(cost_parts.messages() | _storage(folder) | web | _broker(url))


def _storage(folder: str) -> Parts:
    orders = Database(f"sqlite:///{folder}/orders.db", order_store.metadata, outbox.metadata)
    shelf = Database(f"sqlite:///{folder}/inventory.db", stock.metadata, inbox.metadata)
    sent = Database(f"sqlite:///{folder}/notification.db", notifications.metadata, inbox.metadata)
    with shelf.transaction() as tx:
        stock.fill(tx, "100000000")

    def place() -> Order:
        order = Order.place(user_id="u1", items=ITEMS, request_id="r1")
        with orders.transaction() as tx:
            order_store.place(tx, order, key=None)
            outbox.add(tx, order_placed(order))
        return order

    def relay() -> None:
        with orders.transaction() as tx:
            rows = outbox.oldest(tx, BATCH)
        with orders.transaction() as tx:
            outbox.remove(tx, [row[0] for row in rows])

    def project() -> None:
        known = list(itertools.islice(waiting, BATCH))
        events = [
            new_event(kind, o, {"user_id": "u1"}) for kind in (INVENTORY_RESERVED, NOTIFICATION_SENT) for o in known
        ]
        for some in (events[:BATCH], events[BATCH:]):
            with orders.transaction() as tx:
                order_service.project(tx, [WorkItem(message) for message in some])

    def reserve() -> None:
        with shelf.transaction() as tx:
            inventory.reserve(tx, [WorkItem(placed()) for _ in range(BATCH)])

    def notify() -> None:
        results = [
            new_event(INVENTORY_RESERVED, placed().order_id, {"user_id": "u1", "items": ITEMS}) for _ in range(BATCH)
        ]
        with sent.transaction() as tx:
            notification.notify(tx, [WorkItem(message) for message in results])

    waiting = (place().order_id for _ in itertools.count())
    return {
        "order: placed, with its outbox row (1 commit)": (place, 1),
        f"order: {BATCH} taken from the outbox and removed (2 commits)": (relay, BATCH),
        f"order: {BATCH} placed, and followed to reserved and notified": (project, BATCH),
        f"inventory: {BATCH} made up and reserved, with inbox rows (1 commit)": (reserve, BATCH),
        f"notification: {BATCH} made up and notified, with inbox rows (1 commit)": (notify, BATCH),
    }


def _broker(url: str) -> Parts:
    """Publish to a queue that nobody reads: a dead-letter queue, which the benchmark's end throws away."""
    publisher = Publisher(url, "cost")
    publisher.start()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            publisher.check()
            break
        except ConnectionError:
            time.sleep(0.05)
    message = placed()

    def publish(count: int) -> None:
        to = Outgoing("", "order-status.dlq", message.encode(), message.event_id)
        assert publisher.publish([to] * count, timeout=10) == [None] * count

    return {
        "broker: 1 published and confirmed": (lambda: publish(1), 1),
        f"broker: {BATCH} published and confirmed together": (lambda: publish(BATCH), BATCH),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
