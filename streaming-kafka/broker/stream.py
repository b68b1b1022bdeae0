"""A consumer's work: poll a batch, do it in one database transaction, then publish what follows from it together with
the offsets in one Kafka transaction.

The database remembers what it has done by order, so a batch that comes again, after a crash between the two commits
or a rebalance, changes nothing and tells the same events. Who reads `read_committed` sees each of them once.
"""

import contextlib
import logging
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from campus import jsons
from campus.database import Database
from campus.faults import Drop, Faults, Hang
from campus.messages import Message, Poison, read
from campus.orders import utc_now
from campus.work import HISTORY, REASON, RETRY_SECONDS, Handle, Task
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata
from prometheus_client import CollectorRegistry, Counter

from broker import topics

log = logging.getLogger("campus")

BATCH = 500
WAIT_MS = 200
ORIGIN, GROUP = "x-origin", "x-group"


_QUICK = {"bootstrap_timeout_ms": 3000}


@dataclass(slots=True)
class Waiting:
    """A partition that waits with a message that failed; or that is held, for as long as that fault stands."""

    offset: int
    until: float = 0.0
    held: bool = False
    history: list[dict[str, str]] = field(default_factory=list)


@dataclass(slots=True)
class Batch:
    """What one round does: tasks, raw messages for the dead-letter topic, and the offsets after them."""

    tasks: list[tuple[TopicPartition, Any, Task]] = field(default_factory=list)
    dead: list[tuple[Any, str, list[dict[str, str]]]] = field(default_factory=list)
    offsets: dict[TopicPartition, OffsetAndMetadata] = field(default_factory=dict)


class Stream:
    """Works off topics as a member of a group. `step` is one round, with no thread in it.

    `handle(tx, tasks)` does the work of all tasks in the given transaction and returns the events that follow. It must
    give the same answer when a message comes again.
    """

    def __init__(
        self,
        *,
        bootstrap: str,
        group: str,
        reads: Sequence[str],
        expects: Sequence[str],
        database: Database,
        faults: Faults,
        handle: Handle,
        registry: CollectorRegistry,
        injects: bool = True,
    ) -> None:
        self._bootstrap, self._group, self._reads, self._expects = bootstrap, group, reads, expects
        self._database, self._faults, self._handle, self._injects = database, faults, handle, injects
        self._consumer: KafkaConsumer | None = None
        self._producer: KafkaProducer | None = None
        self._waiting: dict[TopicPartition, Waiting] = {}
        outcomes = Counter("messages", "Messages by outcome", ["group", "outcome"], registry=registry)
        self._count = lambda outcome, n=1: outcomes.labels(group, outcome).inc(n)

    def check(self) -> None:
        """Raise ConnectionError when there is no connection to Kafka."""
        if self._consumer is None:
            raise ConnectionError("not connected to Kafka")

    def close(self) -> None:
        """Leave the group and close the connections; what was in hand is left to whoever takes over."""
        consumer, self._consumer = self._consumer, None
        producer, self._producer = self._producer, None
        self._waiting.clear()
        for client, options in ((consumer, {"autocommit": False, "timeout_ms": 3000}), (producer, {"timeout": 1})):
            if client is not None:
                with contextlib.suppress(Exception):  # it is of no use any more, whatever it says
                    client.close(**options)

    def step(self) -> bool:
        """Work off one batch, if there is one; return whether there was. Raises, to be called again, on any trouble."""
        try:
            consumer = self._connected()
            self._pause_and_resume(consumer)
            found = consumer.poll(timeout_ms=WAIT_MS, max_records=1 if self._faults.slow else BATCH)
            if not found:
                return False
            batch = self._read(consumer, found)
            events = self._commit(consumer, batch)
            self._publish(consumer, batch, events)
        except Drop:
            self.close()
            return True
        except KafkaError as error:
            # Also the zombie's case: it slept longer than its session, others have its partitions, and its
            # transaction is refused. It lets go of everything and joins again.
            self.close()
            raise ConnectionError(f"Kafka: {type(error).__name__}: {error}") from error
        self._faults.rest()
        return True

    def _connected(self) -> KafkaConsumer:
        if self._consumer is None:
            with contextlib.closing(KafkaAdminClient(bootstrap_servers=self._bootstrap, **_QUICK)) as admin:
                topics.ensure(admin)
            self._producer = KafkaProducer(
                bootstrap_servers=self._bootstrap,
                transactional_id=f"{self._group}-1",  # the same after a restart: what a killed process began is aborted
                transaction_timeout_ms=10_000,
                retry_backoff_ms=5,
                reconnect_backoff_max_ms=1000,
                delivery_timeout_ms=10_000,
                request_timeout_ms=5000,
                max_block_ms=5000,
                **_QUICK,
            )
            self._producer.init_transactions()
            self._consumer = KafkaConsumer(
                bootstrap_servers=self._bootstrap,
                group_id=self._group,
                enable_auto_commit=False,
                auto_offset_reset="earliest",
                isolation_level="read_committed",
                session_timeout_ms=10_000,
                heartbeat_interval_ms=2000,
                reconnect_backoff_max_ms=1000,
                **_QUICK,
            )
            self._consumer.subscribe(list(self._reads))
            log.info("%s: connected to Kafka", self._group)
        return self._consumer

    def _pause_and_resume(self, consumer: KafkaConsumer) -> None:
        """Stop or go on taking messages, without leaving the group."""
        now, mine, paused = time.monotonic(), consumer.assignment(), consumer.paused()
        waiting = {p for p, w in self._waiting.items() if (self._faults.hangs if w.held else w.until > now)}
        wanted = mine if self._faults.paused else waiting & mine
        if stop := wanted - paused:
            consumer.pause(*stop)
        if go := paused - wanted:
            consumer.resume(*go)

    def _read(self, consumer: KafkaConsumer, found: dict[TopicPartition, list[Any]]) -> Batch:
        """Return the batch of what was polled; a partition ends at a message that must wait."""
        batch = Batch()
        for partition, records in found.items():
            for record in records:
                try:
                    message = read(record.value or b"", *self._expects)
                    task = Task(message, self._faults.inject() if self._injects else None)
                    batch.tasks.append((partition, record, task))
                except Poison as why:
                    batch.dead.append((record, str(why), []))
                except Hang:
                    self._wait(consumer, partition, Waiting(record.offset, held=True))
                    break
                except Drop:
                    raise
                except Exception as error:  # an injected failure
                    if not self._try_later(consumer, batch, partition, record, error):
                        break
                batch.offsets[partition] = OffsetAndMetadata(record.offset + 1, "", -1)
        return batch

    def _commit(self, consumer: KafkaConsumer, batch: Batch) -> list[Message]:
        """Commit the work of all tasks and return the events that follow; when it fails, task by task."""
        if not batch.tasks:
            return []
        try:
            with self._database.transaction() as tx:
                events = list(self._handle(tx, [task for _, _, task in batch.tasks]))
                self._faults.crash_at("before_commit")
            self._faults.crash_at("after_commit")
        except Exception:
            if len(batch.tasks) == 1 and not batch.dead:
                raise
            return self._commit_each(consumer, batch)
        self._count("done", len(batch.tasks))
        return events

    def _commit_each(self, consumer: KafkaConsumer, batch: Batch) -> list[Message]:
        events: list[Message] = []
        stopped: dict[TopicPartition, int] = {}
        for partition, record, task in batch.tasks:
            if partition in stopped:
                continue
            try:
                with self._database.transaction() as tx:
                    events += self._handle(tx, [task])
            except Exception as error:
                if not self._try_later(consumer, batch, partition, record, error):
                    stopped[partition] = record.offset
                    batch.offsets[partition] = OffsetAndMetadata(record.offset, "", -1)
        batch.dead = [d for d in batch.dead if d[0].offset < stopped.get(_partition(d[0]), d[0].offset + 1)]
        return events

    def _try_later(
        self, consumer: KafkaConsumer, batch: Batch, partition: TopicPartition, record: Any, error: Exception
    ) -> bool:
        """Let the partition wait with this message, or after the last try dead-letter it and return True."""
        before = self._waiting.pop(partition, None)
        history = before.history if before and before.offset == record.offset else []
        history.append({"at": utc_now(), "why": f"{type(error).__name__}: {error}"})
        if len(history) > len(RETRY_SECONDS):
            batch.dead.append((record, f"failed {len(history)} times, last: {history[-1]['why']}", history))
            return True
        seconds = RETRY_SECONDS[len(history) - 1]
        self._count("retried")
        log.warning("trying again in %d s", seconds, extra={"fields": {"origin": _origin(record)} | history[-1]})
        waiting = Waiting(record.offset, until=time.monotonic() + seconds, history=history)
        self._wait(consumer, partition, waiting)
        return False

    def _wait(self, consumer: KafkaConsumer, partition: TopicPartition, waiting: Waiting) -> None:
        self._waiting[partition] = waiting
        consumer.seek(partition, waiting.offset)

    def _publish(self, consumer: KafkaConsumer, batch: Batch, events: Sequence[Message]) -> None:
        producer = self._producer
        if not batch.offsets or producer is None:
            return
        producer.begin_transaction()
        sent = [producer.send(topics.TOPIC_OF[e.event_type], key=e.order_id.encode(), value=e.encode()) for e in events]
        for record, reason, history in batch.dead:
            self._count("dead_lettered")
            log.error("dead-lettered", extra={"fields": {"why": reason, "origin": _origin(record)}})
            told = {REASON: reason[:1000].encode(), HISTORY: jsons.dumps(history), ORIGIN: _origin(record).encode()}
            told[GROUP] = self._group.encode()
            headers = list(told.items())
            sent.append(producer.send(topics.DEAD_LETTERS, key=record.key, value=record.value, headers=headers))
        producer.send_offsets_to_transaction(batch.offsets, consumer.group_metadata())
        producer.commit_transaction()
        for future in sent:
            future.get(0)
        self._faults.crash_at("after_publish")


def _partition(record: Any) -> TopicPartition:
    return TopicPartition(record.topic, record.partition)


def _origin(record: Any) -> str:
    return f"{record.topic}/{record.partition}/{record.offset}"
