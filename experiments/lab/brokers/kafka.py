"""The laboratory's own look into Kafka: its records, its dead letters, and publishing that is acknowledged."""

import contextlib
import time
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from campus.events import partition_of

from lab.brokers import kafka_client
from lab.brokers.message import BrokerMessage
from lab.errors import LabError
from lab.services import Service

if TYPE_CHECKING:  # kafka-python is loaded where it is used: it takes long, and most commands never need it
    from kafka import KafkaAdminClient, KafkaProducer

NAME = "kafka"
WORK = ("order-events", "inventory-events", "notification-events")
PLACED, RESERVED = WORK[:2]
RESULTS = WORK[1:]
DEAD_LETTERS = "order-events.dlq"
COUNTED = ("group", tuple(kafka_client.GROUPS))
ORIGIN, GROUP = "x-origin", "x-group"
SENT_BACK = "x-sent-back"  # by us, and written by no service
READ_SECONDS = 10.0


def dead_letters(queue: str) -> str:
    """Return the name of the topic with the dead letters of a topic: one for all."""
    return DEAD_LETTERS


@contextlib.contextmanager
def channel(service: Service) -> Iterator["KafkaProducer"]:
    """Open a producer for the block. Raises LabError when Kafka cannot be reached, then or later."""
    from kafka import KafkaProducer

    limits = {
        "request_timeout_ms": kafka_client.BUSY_MS,
        "delivery_timeout_ms": 2 * kafka_client.BUSY_MS,
        "max_block_ms": kafka_client.BUSY_MS,
    }
    with kafka_client.in_plain_words(service):
        producer = KafkaProducer(**limits, **kafka_client.connection(service))
        try:
            yield producer
        finally:
            with contextlib.suppress(Exception):  # all that matters was acknowledged
                producer.close(timeout=1)


def publish(on: "KafkaProducer", queue: str, letters: Sequence[BrokerMessage]) -> list[str]:
    """Put letters into a topic and return their ids, `topic/partition/offset`. Raises KafkaError for one not taken."""
    count = len(on.partitions_for(queue))

    def send(letter: BrokerMessage) -> Any:
        partition = None if letter.key is None else partition_of(letter.key, count)
        headers = [(name, value.encode()) for name, value in letter.headers.items()]
        return on.send(queue, key=letter.key, value=letter.body, partition=partition, headers=headers)

    sent = [send(letter) for letter in letters]
    return [identity(future.get(2 * kafka_client.BUSY_MS / 1000)) for future in sent]


def identity(record: Any) -> str:
    """Return where a record is, which is the only name that it has: `topic/partition/offset`."""
    return f"{record.topic}/{record.partition}/{record.offset}"


def read_all(service: Service, topics: Sequence[str]) -> Iterator[Any]:
    """Yield every committed record of these topics, from the beginning to what is the end now. Raises LabError."""
    from kafka import TopicPartition

    with kafka_client.asking(service) as client:  # not the consumer, which would wait without a limit
        shapes = {t["name"]: [p["partition_index"] for p in t["partitions"]] for t in client.describe_topics()}
    with kafka_client.in_plain_words(service), contextlib.closing(kafka_client.reader(service)) as consumer:
        partitions = [TopicPartition(topic, p) for topic in topics for p in shapes.get(topic, ())]
        ends = consumer.end_offsets(partitions) if partitions else {}
        consumer.assign(partitions)
        progress = time.monotonic()
        while any((consumer.position(p, timeout_ms=kafka_client.BUSY_MS) or 0) < end for p, end in ends.items()):
            found = consumer.poll(timeout_ms=50)
            for records in found.values():
                yield from records
            if found:
                progress = time.monotonic()
            if time.monotonic() - progress > READ_SECONDS:
                raise kafka_client.silent(service, "no records")


def results(records: Iterable[Any]) -> list[dict[str, Any]]:
    """Return how many of these records each topic of results holds, and where an order has more than one of them."""
    found: dict[str, dict[str, list[str]]] = {topic: defaultdict(list) for topic in RESULTS}
    for record in records:
        if SENT_BACK not in dict(record.headers):  # else we did it
            found[record.topic][(record.key or b"").decode(errors="replace")].append(identity(record))
    return [
        {"what": "log", "topic": topic, "records": sum(map(len, by_order.values()))}
        | {"repeated": {order_id: places for order_id, places in by_order.items() if len(places) > 1}}
        for topic, by_order in found.items()
    ]


def letters(service: Service, queues: Sequence[str] = WORK) -> list[tuple[str, BrokerMessage]]:
    """Return `(topic it came from, letter)` of all dead letters that were not sent back, each once. Raises LabError.

    Two groups that read a topic both give up on what neither can read: it is one letter, with both groups.
    """
    return _letters(list(read_all(service, [DEAD_LETTERS])), _sent_back(service), queues)


def send_back(service: Service, queue: str) -> int:
    """Put the dead letters of a topic there again, once, and return how many. Raises LabError.

    They stay in the log of dead letters. How far they were sent back is remembered as the offset of a group.
    """
    from kafka import TopicPartition

    records = list(read_all(service, [DEAD_LETTERS]))
    dead = _letters(records, _sent_back(service), (queue,))
    back = [replace(letter, headers={SENT_BACK: ""}) for _, letter in dead]
    with channel(service) as on:
        publish(on, queue, back)
    if records:
        with kafka_client.asking(service) as client:
            last = records[-1]
            offsets = {TopicPartition(last.topic, last.partition): last.offset + 1}
            kafka_client.move(client, _memory(queue), offsets)
    return len(back)


def _letters(records: Sequence[Any], done: dict[str, int], queues: Sequence[str]) -> list[tuple[str, BrokerMessage]]:
    found: dict[str, BrokerMessage] = {}
    sent_back: set[str] = set()
    for record in records:
        told = {name: (value or b"").decode(errors="replace") for name, value in record.headers}  # a header may be null
        origin = told.get(ORIGIN) or f"{PLACED}/unknown/{record.partition}/{record.offset}"
        if record.offset < done.get(_topic(origin), 0):
            sent_back.add(origin)
        elif origin in found:
            groups = [*found[origin].headers.get(GROUP, "").split(", "), told.get(GROUP, "")]
            found[origin].headers[GROUP] = ", ".join(filter(None, groups))
        elif origin not in sent_back and _topic(origin) in queues:
            found[origin] = BrokerMessage(record.value or b"", origin, told, record.key)
    return [(_topic(origin), letter) for origin, letter in found.items()]


def _topic(origin: str) -> str:
    return origin.partition("/")[0]


def _memory(queue: str) -> str:
    return f"{kafka_client.OURS}dlq-{queue}"


def _sent_back(service: Service) -> dict[str, int]:
    """Return up to which offset the dead letters of each topic were sent back."""
    with kafka_client.asking(service) as client:
        offsets = kafka_client.patiently(lambda: client.list_group_offsets({_memory(queue): None for queue in WORK}))
    return {queue: max((o.offset for o in offsets[_memory(queue)].values()), default=0) for queue in WORK}


def empty(service: Service) -> None:
    """Delete all topics and groups, with their offsets, and wait until they are gone. Raises LabError.

    The services must be stopped. One that was killed is still a member until its session is over: it is thrown out.
    """
    from kafka.admin import MemberToRemove

    with kafka_client.asking(service) as client:
        groups = client.describe_groups([group["group_id"] for group in client.list_groups()])
        for name, group in groups.items():
            client.remove_group_members(name, [MemberToRemove(member_id=m["member_id"]) for m in group["members"]])
        if topics := _topics(client):
            client.delete_topics(topics)
        kept = {name: said for name, said in client.delete_groups(list(groups)).items() if said != "OK"}
        if kept:
            raise LabError(f"Kafka keeps the group {' and '.join(kept)} ({', '.join(set(kept.values()))})")
        deadline = time.monotonic() + kafka_client.BUSY_MS / 1000
        while _topics(client):
            if time.monotonic() > deadline:
                raise LabError(f"Kafka has deleted topics that are still there: {', '.join(_topics(client))}")
            time.sleep(0.02)


def _topics(client: "KafkaAdminClient") -> list[str]:
    return [topic["name"] for topic in client.describe_topics() if not topic["is_internal"]]
