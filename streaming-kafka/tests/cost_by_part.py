"""Measures where the processor time of Part C goes, each part alone, and prints it as JSON lines (microseconds).

`./lab bench streaming-kafka` runs it; it is not a test. Usage: cost_by_part.py KAFKA_BOOTSTRAP TOPIC
"""

import contextlib
import sys
import tempfile
from collections.abc import Iterator, Sequence
from typing import Any

from analytics_consumer import tally
from broker import topics
from broker.told import Told
from campus import notices, order_book, stock
from campus.database import Database
from campus.messages import INVENTORY_RESERVED, NOTIFICATION_SENT, Message, event, order_placed
from campus.order_book import Debt
from campus.orders import Order
from campus.work import Task
from inventory_consumer import app as inventory
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata
from notification_consumer import app as notification
from producer_order import app as order_service
from rig import cost_parts
from rig.cost_parts import ITEMS, Parts, placed

BATCH, COUNTED, BULK = 500, 2000, 10_000


class Acknowledging:
    """A producer that acknowledges at once, in the place of the real one."""

    def __init__(self, _bootstrap: str) -> None:
        self.step = self.check = self.close = lambda: None

    def publish(self, events: Sequence[Message]) -> list[None]:
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
    database = Database(f"sqlite:///{folder}/orders.db", order_book.metadata)

    def place() -> None:
        order = Order.place(user_id="u1", items=ITEMS, request_id="r1")
        with database.transaction() as tx:
            order_book.place(tx, order, key=None, owed=Debt("tell", "me"))
        order_placed(order)
        with database.transaction() as tx:
            order_book.settle(tx, order.order_id)

    def follow() -> None:
        orders = [placed() for _ in range(BATCH)]
        told = (_events(orders, kind) for kind in (INVENTORY_RESERVED, NOTIFICATION_SENT))
        for events in (orders, *told):
            with database.transaction() as tx:
                order_service.follow(tx, [Task(message) for message in events])

    return {
        "order: written down as owed, and settled (2 commits)": (place, 1),
        f"order: {BATCH} made up, and followed to notified (3 commits)": (follow, BATCH),
    }


def _consumers(folder: str) -> Parts:
    shelf = Database(f"sqlite:///{folder}/inventory.db", stock.metadata)
    sent = Database(f"sqlite:///{folder}/notification.db", notices.metadata)
    counts = Database(f"sqlite:///{folder}/analytics.db", tally.metadata)
    told = {database: Told(database) for database in (shelf, sent)}
    with shelf.transaction() as tx:
        stock.fill(tx, "100000000")
    with counts.transaction() as tx:
        tally.begin_anew(tx, {("t", 0): 0})

    def work(database: Database, handle: Any, messages: list[Message]) -> None:
        with database.transaction() as tx:
            events = handle(tx, [Task(message) for message in messages])
            told[database].because(tx, events, {message.order_id: "t/0/0" for message in messages})

    def reserve() -> None:
        work(shelf, inventory.reserve, [placed() for _ in range(BATCH)])

    def notify() -> None:
        work(sent, notification.notify, _events([placed() for _ in range(BATCH)], INVENTORY_RESERVED))

    def count() -> None:
        messages = [placed() for _ in range(COUNTED)]
        with counts.transaction() as tx:
            tally.count(tx, messages)
            tally.move(tx, {("t", 0): 1})

    return {
        f"inventory: {BATCH} made up and reserved (1 commit)": (reserve, BATCH),
        f"notification: {BATCH} made up and notified (1 commit)": (notify, BATCH),
        f"analytics: {COUNTED:,} made up and counted (1 commit)": (count, COUNTED),
    }


def _events(orders: list[Message], kind: str) -> list[Message]:
    return [event(kind, order.order_id, {"user_id": "u1", "items": ITEMS}) for order in orders]


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

    def tell() -> None:
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
        f"kafka-python and its threads: {BATCH} and their offsets in one transaction": (tell, BATCH),
        f"kafka-python and its threads: {BATCH} polled": (poll, BATCH),
    }
    consumer.close(timeout_ms=3000)
    for client in (producer, in_transactions):
        client.close(timeout=3)


if __name__ == "__main__":
    main(*sys.argv[1:])
