"""The clients of a consumer: one reads as a member of a group, the other writes in transactions.

No call of theirs waits without a limit, and none is made before the broker has answered.
"""

import contextlib
import logging
import os
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any, TypeVar

from campus import events
from campus.events import Event, InvalidEvent
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.cluster import collect_hosts
from kafka.errors import NoOffsetForPartitionError, OffsetOutOfRangeError

from broker import kafka_workarounds, topics
from broker.kafka_workarounds import WAIT_SECONDS, close

__all__ = ["close"]

log = logging.getLogger("campus")

Client = TypeVar("Client")

SESSION_MS = int(os.environ.get("SESSION_MS", "10000"))  # after this long in silence others get a member's partitions
WAIT_MS = 200
LARGE_FETCH_BYTES = 20_000
FETCH_BYTES = 128 * 1024  # of one partition at a time: several batches, and not the megabyte that is usual
ANSWER_SECONDS = 1.0

# Of what it can measure of itself nothing is asked, and it costs; larger batches cost less for each message.
PRODUCER_OPTIONS = {"metrics_enabled": False, "batch_size": 65_536, "partitioner": topics.ByKey()}
# Metadata is asked for every 10 s, so that partitions that were added are soon read and written.
_QUICK = {"bootstrap_timeout_ms": 3000, "reconnect_backoff_max_ms": 1000, "metadata_max_age_ms": 10_000}
_LIMIT_MS = int(1000 * WAIT_SECONDS)

# A name server that does not answer is asked for 2 s, not for the usual 10 s and more (glibc reads this).
os.environ.setdefault("RES_OPTIONS", "timeout:1 attempts:2")


def connect(kind: Callable[..., Client], bootstrap: str, **options: Any) -> Client:
    """Return a client of this kind (`KafkaProducer` and the like). Raises ConnectionError when no broker answers."""
    there, why = _asked(bootstrap)
    if why:
        raise ConnectionError(why)
    # Those that answered: the client begins at one that it draws, and may draw one that is gone again and again.
    return kafka_workarounds.build(kind, bootstrap_servers=there, **_QUICK, **options)


@contextlib.contextmanager
def admin(bootstrap: str) -> Iterator[KafkaAdminClient]:
    """Lend an admin client."""
    client = connect(KafkaAdminClient, bootstrap, request_timeout_ms=_LIMIT_MS)
    try:
        yield client
    finally:
        close(client)


def ensure_topics(bootstrap: str) -> None:
    """Make the topics that are not there yet. Raises WrongPartitions when one is there in another shape."""
    with admin(bootstrap) as client:
        topics.ensure(client)


def writer(bootstrap: str, name: str) -> KafkaProducer:
    """Return a producer that is ready for transactions; what its predecessor of this name had begun is aborted."""
    producer = connect(
        KafkaProducer,
        bootstrap,
        transactional_id=name,
        transaction_timeout_ms=10_000,
        retry_backoff_ms=5,
        delivery_timeout_ms=_LIMIT_MS,
        request_timeout_ms=_LIMIT_MS - 1000,
        max_block_ms=_LIMIT_MS,
        **PRODUCER_OPTIONS,
    )
    try:
        producer.init_transactions()
    except BaseException:
        close(producer)
        raise
    return producer


def reader(
    bootstrap: str,
    group: str,
    reads: Sequence[str],
    *,
    name: str | None = None,
    batch_fetches: bool = False,
    fetch_bytes: int = FETCH_BYTES,
) -> KafkaConsumer:
    """Return a consumer that will join the group when it is polled.

    With a name it is a static member: after a crash it has its partitions back as soon as it starts, and need not wait
    until the session of the one that died has ended. With `batch_fetches` it is given messages up to 0.2 s later,
    together with those that came meanwhile: for a view that may be a little behind, and should cost little.
    """
    consumer = connect(
        KafkaConsumer,
        bootstrap,
        client_id=group.removesuffix("-group"),
        group_id=group,
        group_instance_id=name,
        enable_auto_commit=False,
        auto_offset_reset="none",  # `poll` does it, and says what that means
        isolation_level="read_committed",
        request_timeout_ms=_LIMIT_MS,
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=SESSION_MS // 5,
        max_partition_fetch_bytes=fetch_bytes,
        fetch_min_bytes=LARGE_FETCH_BYTES if batch_fetches else 1,
        fetch_max_wait_ms=WAIT_MS,  # a partition that is taken up again waits for the fetch that is under way
    )
    try:
        kafka_workarounds.read_on(consumer)
        kafka_workarounds.take_late_answers(consumer)
        consumer.subscribe(list(reads))
        for topic in reads:  # if it learnt of them only while it joins, it would join a second time at once
            consumer.partitions_for_topic(topic)
    except BaseException:
        close(consumer)
        raise
    return consumer


def poll(
    consumer: KafkaConsumer, most: int, count: Callable[[str, int], None] = lambda outcome, n: None
) -> dict[TopicPartition, list[Any]]:
    """Return at most so many messages, by partition; none when there are none for a while.

    What the log does not hold any more, and this group has not read, is counted as `lost`.
    """
    kafka_workarounds.take_up_again(consumer)
    try:
        return consumer.poll(timeout_ms=WAIT_MS, max_records=most)
    except NoOffsetForPartitionError as new:  # this group has not been there yet
        consumer.seek_to_beginning(*new.args[0])
    except OffsetOutOfRangeError as error:
        for partition, offset in error.args[0].items():
            count("lost", _begin_anew(consumer, partition, offset))
    return {}


def _begin_anew(consumer: KafkaConsumer, partition: TopicPartition, offset: int) -> int:
    """Go to the beginning of a partition whose log does not hold this offset; say so, and return how many are lost."""
    beginning = consumer.beginning_offsets([partition], timeout_ms=_LIMIT_MS)[partition]
    lost = max(0, beginning - offset)
    why = f"{lost} messages were removed before they were read" if lost else "the log ends before that: it was replaced"
    about = {"origin": f"{partition.topic}/{partition.partition}/{offset}", "goes_on_at": beginning, "lost": lost}
    log.error("%s", why, extra={"fields": about})
    consumer.seek(partition, beginning)
    return lost


def parse(record: Any) -> Event:
    """Return the event of a record. Raises InvalidEvent, which says what is wrong."""
    if isinstance(record.value, kafka_workarounds.Unreadable):
        raise InvalidEvent(record.value.why)
    return events.parse(record.value or b"", *topics.EVENTS_OF[record.topic])


def trouble(bootstrap: str) -> str | None:
    """Return why Kafka can do nothing, None when at least half of the nodes in this list answer.

    With fewer of a cluster nothing can be written: its controllers have no majority, and a write no second copy
    (`min.insync.replicas`). A node that is frozen accepts connections, and its client waits for it and says nothing;
    so each is really asked, all at once. It takes a second at most.
    """
    return _asked(bootstrap)[1]


def _asked(bootstrap: str) -> tuple[list[str], str | None]:
    """Return the nodes that answered, until these were at least half, and why Kafka can do nothing, if so."""
    nodes = collect_hosts(bootstrap, randomize=False)
    there, silent = [], []
    for (host, port, _), why in _each_asked(nodes):
        if why:
            silent.append(why)
        else:
            there.append(f"[{host}]:{port}" if ":" in host else f"{host}:{port}")
        if 2 * len(there) >= len(nodes):
            return there, None
        if 2 * len(silent) > len(nodes):
            break
    return there, f"Kafka cannot be reached at {'; '.join(sorted(silent))}"


def _each_asked(nodes: Sequence[Any]) -> Iterator[tuple[Any, str | None]]:
    """Ask all at once, and yield what each gives as soon as it is there: one that is silent holds up no other."""
    if len(nodes) == 1:  # without a thread
        yield nodes[0], _why_silent(nodes[0])
        return
    answers: queue.SimpleQueue[tuple[Any, str | None]] = queue.SimpleQueue()
    for node in nodes:
        threading.Thread(target=lambda node=node: answers.put((node, _why_silent(node))), daemon=True).start()
    for _ in nodes:
        yield answers.get()


def _why_silent(node: Any) -> str | None:
    host, port, _ = node
    try:
        _ask(host, port, ANSWER_SECONDS)
    except OSError as error:
        return f"{host}:{port}: {error}"
    return None


# ApiVersions, version 0, with the correlation id 1: which any client may ask of any broker.
_HELLO = b"\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x01\xff\xff"


def _ask(host: str, port: int, seconds: float) -> None:
    """Ask a broker what it can do. Raises OSError when it does not say within so long."""
    deadline = time.monotonic() + seconds
    with socket.create_connection((host, port), timeout=seconds) as connection:
        connection.sendall(_HELLO)
        connection.settimeout(max(0.01, deadline - time.monotonic()))
        if connection.recv(8)[4:] != _HELLO[8:12]:
            raise ConnectionError("it does not speak Kafka's protocol")
