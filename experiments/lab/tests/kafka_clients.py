"""What the tests write into a real Kafka and read from it: in transactions or without, as members of groups."""

import contextlib
import threading
from collections.abc import Iterator, Sequence

from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from lab.brokers import kafka_client
from lab.services import Service


def put(node: Service, topic: str, *bodies: bytes, partition: int = 0, headers: Sequence = (), key=b"k") -> None:
    """Write records, without a transaction."""
    with contextlib.closing(KafkaProducer(bootstrap_servers=node.url)) as producer:
        for body in bodies:
            producer.send(topic, body, key=key, partition=partition, headers=list(headers)).get(10)


@contextlib.contextmanager
def transaction(node: Service, topic: str, *bodies: bytes, partition: int = 0) -> Iterator[KafkaProducer]:
    """Write records in a transaction that is open in the block; it is committed, unless the block aborts it."""
    settings = {"transactional_id": "test", "retry_backoff_ms": 5}
    with contextlib.closing(KafkaProducer(bootstrap_servers=node.url, **settings)) as producer:
        producer.init_transactions()
        producer.begin_transaction()
        for body in bodies:
            producer.send(topic, body, partition=partition)
        producer.flush(10)
        yield producer
        producer.commit_transaction()


def put_committed(node: Service, topic: str, *bodies: bytes, partition: int = 0) -> None:
    """Write records in a transaction of their own: a marker follows them."""
    with transaction(node, topic, *bodies, partition=partition):
        pass


def put_aborted(node: Service, topic: str, *bodies: bytes, partition: int = 0) -> None:
    """Write records that nobody will read."""
    with transaction(node, topic, *bodies, partition=partition) as producer:
        producer.abort_transaction()
        producer.begin_transaction()


def commit(node: Service, group: str, offsets: dict[tuple[str, int], int]) -> None:
    """Set what a group has read."""
    with kafka_client.asking(node) as client:
        kafka_client.move(client, group, {TopicPartition(*where): offset for where, offset in offsets.items()})


class Member:
    """A member of a group in a thread: it reads a topic and commits what it has read, unless it is lazy."""

    def __init__(self, node: Service, group: str, topic: str, *, client: str = "member", lazy: bool = False) -> None:
        self._consumer = KafkaConsumer(
            bootstrap_servers=node.url,
            group_id=group,
            client_id=client,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            isolation_level="read_committed",
        )
        self._consumer.subscribe([topic])
        self._consumer.partitions_for_topic(topic)  # as the services do: learnt while it joins, it may join for ever
        self.bodies: list[bytes] = []
        self.joined = False
        self._lazy, self._ended = lazy, threading.Event()
        self._thread = threading.Thread(target=self._work, daemon=True)
        self._thread.start()

    def leave(self) -> None:
        """Leave the group."""
        self._ended.set()
        self._thread.join(20)

    def _work(self) -> None:
        while not self._ended.is_set():
            found = self._consumer.poll(timeout_ms=50)
            self.joined = bool(self._consumer.assignment())
            self.bodies += [record.value for records in found.values() for record in records]
            if found and not self._lazy:
                self._consumer.commit()
        self._consumer.close(autocommit=False)
