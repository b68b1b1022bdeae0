"""The clients of a consumer: one reads as a member of a group, the other writes in transactions."""

import contextlib
import os
import socket
import time
from collections.abc import Sequence
from typing import Any

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaTimeoutError
from kafka.structs import ConsumerGroupMetadata, MemberState

from broker import topics

SESSION_MS = int(os.environ.get("SESSION_MS", "10000"))  # after this long in silence others get a member's partitions
WAIT_MS = 200
GATHER_BYTES = 20_000
FETCH_BYTES = 128 * 1024  # of one partition at a time: several batches, and not the megabyte that is usual
PUBLISH_SECONDS = 10

# Of what it can measure of itself nothing is asked, and it costs; larger batches cost less for each message.
LEAN = {"metrics_enabled": False, "batch_size": 65_536, "partitioner": topics.ByKey()}
_QUICK = {"bootstrap_timeout_ms": 3000, "reconnect_backoff_max_ms": 1000}


def ensure_topics(bootstrap: str) -> None:
    """Make the topics that are not there yet. Raises WrongPartitions when one is there in another shape."""
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=bootstrap, **_QUICK)) as admin:
        topics.ensure(admin)


def writer(bootstrap: str, group: str) -> KafkaProducer:
    """Return a producer that is ready for transactions; what its predecessor of this name had begun is aborted."""
    producer = KafkaProducer(
        bootstrap_servers=bootstrap,
        transactional_id=f"{group}-{_instance()}",
        transaction_timeout_ms=10_000,
        retry_backoff_ms=5,
        delivery_timeout_ms=1000 * PUBLISH_SECONDS,
        request_timeout_ms=5000,
        max_block_ms=5000,
        **LEAN,
        **_QUICK,
    )
    try:
        producer.init_transactions()
    except BaseException:
        producer.close(timeout=1)
        raise
    return producer


def reader(
    bootstrap: str, group: str, reads: Sequence[str], *, gathers: bool = False, fetch_bytes: int = FETCH_BYTES
) -> KafkaConsumer:
    """Return a consumer that will join the group when it is polled.

    One that `gathers` is given messages up to 0.2 s later, together with those that came meanwhile: for a view that
    may be a little behind, and should cost little.
    """
    consumer = KafkaConsumer(
        bootstrap_servers=bootstrap,
        client_id=group.removesuffix("-group"),
        group_id=group,
        enable_auto_commit=False,
        auto_offset_reset="earliest",
        isolation_level="read_committed",
        session_timeout_ms=SESSION_MS,
        heartbeat_interval_ms=SESSION_MS // 5,
        max_partition_fetch_bytes=fetch_bytes,
        fetch_min_bytes=GATHER_BYTES if gathers else 1,
        fetch_max_wait_ms=WAIT_MS,  # a partition that is taken up again waits for the fetch that is under way
        **_QUICK,
    )
    consumer.subscribe(list(reads))
    for topic in reads:  # if it learnt of them only while it joins, it would join a second time at once
        consumer.partitions_for_topic(topic)
    return consumer


def poll(consumer: KafkaConsumer, most: int) -> dict[TopicPartition, list[Any]]:
    """Return at most so many messages, by partition; none when there are none for a while."""
    # What was fetched of a paused partition is put aside, and kafka-python 3.0.12 takes it up again only when it holds
    # None here, not when it holds the used-up rest of another partition: without this it would wait for ever.
    fetcher = consumer._fetcher
    fetcher._next_partition_records = fetcher._next_partition_records or None
    return consumer.poll(timeout_ms=WAIT_MS, max_records=most)


def member_since(member: ConsumerGroupMetadata, seen: float | None) -> float:
    """Return when a consumer was last seen to be a member of its group: now, or as before when it is not.

    Raises KafkaTimeoutError when that is long ago: when topics change while it joins, kafka-python 3.0.12 may wait for
    ever for an answer that it has had.
    """
    if member.state == MemberState.STABLE or seen is None:
        return time.monotonic()
    if time.monotonic() - seen > 2 * SESSION_MS / 1000:
        raise KafkaTimeoutError("not a member of the group for long")
    return seen


def check(consumer: KafkaConsumer | None, bootstrap: str) -> None:
    """Raise ConnectionError when this consumer cannot work: no connection, no broker, no membership in its group."""
    if consumer is None:
        raise ConnectionError("not connected to Kafka")
    if why := trouble(bootstrap):
        raise ConnectionError(why)
    if consumer.group_metadata().state != MemberState.STABLE:
        raise ConnectionError("connected to Kafka, and joining the group")


def trouble(bootstrap: str) -> str | None:
    """Return why Kafka's port does not answer: its client waits for the broker and says nothing."""
    host, _, port = bootstrap.rpartition(":")
    try:
        socket.create_connection((host, int(port)), timeout=1.0).close()
    except OSError as error:
        return f"Kafka cannot be reached: {error}"
    return None


def _instance() -> str:
    """Return a name that no other replica has and a restart keeps.

    Under it Kafka aborts, at the next start, what a killed process had begun; else readers would wait for the
    transaction's time-out. Two that share a name would take it from each other for ever.
    """
    return f"{socket.gethostname()}-{os.environ.get('PORT', os.getpid())}"
