"""Measures where the processor time of Part C goes, each part alone, and prints it as JSON lines (microseconds).

`./lab bench streaming-kafka` runs it; it is not a test. Usage: cost_by_part.py KAFKA_BOOTSTRAP TOPIC
"""

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from analytics_consumer import counts
from broker import emitted_events, topics
from campus import notifications, order_store, stock
from campus.database import Database
from campus.events import INVENTORY_RESERVED, NOTIFICATION_SENT, Event, new_event, order_placed
from campus.lifecycle import Part
from campus.order_store import PendingStep
from campus.orders import Order
from campus.retry import WorkItem
from inventory_consumer import app as inventory
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata
from notification_consumer import app as notification
from producer_order import app as order_service
from producer_order import parked_events
from testing import cost_parts
from testing.cost_parts import ITEMS, Parts, placed

BATCH, COUNTED, BULK = 500, 2000, 10_000


class Acknowledging(Part):
    """A producer that acknowledges at once, in the place of the real one."""

    def __init__(self, _bootstrap: str) -> None:
        """Connect to nothing."""

    def publish(self, events: Sequence[Event]) -> list[None]:
        """Acknowledge."""
        return [None for _ in events]


def main(bootstrap: str, topic: str) -> None:
    """Measure each part and print it."""
    with tempfile.TemporaryDirectory() as folder, _kafka(bootstrap, topic) as kafka:
        order_service.Producer = Acknowledging
        service = order_service.create_app({"DATABASE_URL": f"sqlite:///{folder}/app.db"})
        web = cost_parts.web(service, "web and storage: POST /order as a whole, acknowledged at once")
        cost_parts.show(cost_parts.messages() | _order(folder) | _consumers(folder) | web | kafka)


def _order(folder: str) -> Parts:
    database = Database(f"sqlite:///{folder}/orders.db", order_store.metadata, parked_events.metadata)

    def place() -> None:
        order = Order.place(user_id="u1", items=ITEMS, request_id="r1")
        with database.transaction() as tx:
            order_store.place(tx, order, key=None, pending_step=PendingStep("publish", "me"))
        order_placed(order)
        with database.transaction() as tx:
            order_store.clear_pending(tx, order.order_id)

    def project() -> None:
        orders = [placed() for _ in range(BATCH)]
        results = (_events(orders, kind) for kind in (INVENTORY_RESERVED, NOTIFICATION_SENT))
        for events in (orders, *results):
            with database.transaction() as tx:
                order_service.project(tx, [WorkItem(message) for message in events])

    return {
        "order: written down as owed, and settled (2 commits)": (place, 1),
        f"order: {BATCH} made up, and followed to notified (3 commits)": (project, BATCH),
    }


def _consumers(folder: str) -> Parts:
    shelf = Database(f"sqlite:///{folder}/inventory.db", stock.metadata, emitted_events.metadata)
    sent = Database(f"sqlite:///{folder}/notification.db", notifications.metadata, emitted_events.metadata)
    counted = Database(f"sqlite:///{folder}/analytics.db", counts.metadata)
    with shelf.transaction() as tx:
        stock.fill(tx, "100000000")
    with counted.transaction() as tx:
        counts.begin_anew(tx, {("t", 0): 0})

    def work(database: Database, handle: Any, events: list[Event]) -> None:
        with database.transaction() as tx:
            results = handle(tx, [WorkItem(event) for event in events])
            emitted_events.emit_once(tx, results, {event.order_id: "t/0/0" for event in events})

    def reserve() -> None:
        work(shelf, inventory.reserve, [placed() for _ in range(BATCH)])

    def notify() -> None:
        work(sent, notification.notify, _events([placed() for _ in range(BATCH)], INVENTORY_RESERVED))

    def count() -> None:
        events = [placed() for _ in range(COUNTED)]
        with counted.transaction() as tx:
            counts.count(tx, events)
            counts.move(tx, {("t", 0): 1})

    return {
        f"inventory: {BATCH} made up and reserved (1 commit)": (reserve, BATCH),
        f"notification: {BATCH} made up and notified (1 commit)": (notify, BATCH),
        f"analytics: {COUNTED:,} made up and counted (1 commit)": (count, COUNTED),
    }


def _events(orders: list[Event], kind: str) -> list[Event]:
    return [new_event(kind, order.order_id, {"user_id": "u1", "items": ITEMS}) for order in orders]


@contextlib.contextmanager
def _kafka(bootstrap: str, topic: str) -> Iterator[Parts]:
    """Yield kafka-python's parts, on a topic of the benchmark's own; there must be enough in it to read."""
    ours = {"bootstrap_servers": bootstrap, "partitioner": topics.ByKey()}
    producer = KafkaProducer(**ours)
    in_transactions = KafkaProducer(transactional_id="cost", retry_backoff_ms=5, **ours)
    in_transactions.init_transactions()
    options = {"group_id": "cost", "auto_offset_reset": "earliest", "enable_auto_commit": False}
    consumer = KafkaConsumer(topic, bootstrap_servers=bootstrap, **options)
    body = placed().encode()

    def send(count: int) -> None:
        futures = [producer.send(topic, key=b"%036d" % n, value=body) for n in range(count)]
        producer.flush()
        assert all(future.succeeded() for future in futures)

    def publish_events() -> None:
        in_transactions.begin_transaction()
        for n in range(BATCH):
            in_transactions.send(topic, key=b"%036d" % n, value=body)
        offsets = {TopicPartition(topic, 0): OffsetAndMetadata(0, "", -1)}
        in_transactions.send_offsets_to_transaction(offsets, consumer.group_metadata())
        in_transactions.commit_transaction()

    def poll() -> None:
        left = BATCH
        while left:
            left -= sum(map(len, consumer.poll(timeout_ms=200, max_records=left).values()))

    yield {
        "kafka-python and its threads: 1 sent and acknowledged": (lambda: send(1), 1),
        f"kafka-python and its threads: {BULK:,} sent and acknowledged together": (lambda: send(BULK), BULK),
        f"kafka-python and its threads: {BATCH} and their offsets in one transaction": (publish_events, BATCH),
        f"kafka-python and its threads: {BATCH} polled": (poll, BATCH),
    }
    consumer.close(timeout_ms=3000)
    for client in (producer, in_transactions):
        client.close(timeout=3)


if __name__ == "__main__":
    main(*sys.argv[1:])
