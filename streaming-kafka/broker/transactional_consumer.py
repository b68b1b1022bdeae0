"""A consumer's work: poll a batch, do it in one database transaction, then publish what follows from it together with
the offsets in one Kafka transaction.

The database remembers what it has done by order, so a batch that comes again, after a crash between the two commits
or a rebalance, changes nothing and emits the same events. A reader with `read_committed` sees each of them once.
"""

import logging
from collections.abc import Sequence
from typing import Any

from campus import trace
from campus.database import Database
from campus.events import Event, InvalidEvent
from campus.faults import Drop, Faults, Hang
from campus.lifecycle import PartGroup
from campus.loop import Loop, end_service
from campus.retry import INFRASTRUCTURE, NEVER, Handle, WorkItem
from kafka import KafkaConsumer, TopicPartition
from kafka.errors import CommitFailedError
from kafka.structs import ConsumerGroupMetadata
from prometheus_client import CollectorRegistry, Counter

from broker import clients, emitted_events, kafka_workarounds, membership, topics
from broker.batch import Batch, partition_of_record
from broker.dead_letters import DeadLetter, origin
from broker.kafka_workarounds import WAIT_SECONDS
from broker.membership import Membership
from broker.paused_partitions import PausedPartitions

log = logging.getLogger("campus")

BATCH = 500  # messages that are processed together
# A projection takes all that one fetch brings of its topics: fewer commits, and fewer events that come too early.
LARGE_BATCH = 8000


class TransactionalConsumer(PartGroup):
    """Works off topics as a member of a group of its own. `step` is one round of its loop.

    `handle(tx, work_items)` does the work of all items in the given transaction and returns the result events. It must
    give the same answer when a message comes again.

    On SQLite, which is for one process, a second member ends its service. On PostgreSQL many may work, or, with
    `one_at_a_time`, the others stand by.
    """

    def __init__(
        self,
        bootstrap: str,
        group: str,
        *,
        reads: Sequence[str],
        handle: Handle,
        database: Database,
        faults: Faults,
        registry: CollectorRegistry,
        injects_faults: bool = True,
        batch_fetches: bool = False,
        one_at_a_time: bool = False,
    ) -> None:
        self._group = group
        self._membership = Membership(
            bootstrap,
            group,
            reads,
            name=membership.instance(group),
            alone=one_at_a_time or not database.is_shared,
            refuse=None if database.is_shared else end_service,
            batch_fetches=batch_fetches,
        )
        loop = Loop(reads[0], self.step, idle=0.0, waits_until=faults.waits_until)
        super().__init__(self._membership, loop)
        self._database, self._faults, self._handle, self._injects_faults = database, faults, handle, injects_faults
        self._batch = LARGE_BATCH if batch_fetches else BATCH
        self._paused = PausedPartitions(faults)
        outcomes = Counter("messages", "Messages by outcome", ["group", "outcome"], registry=registry)
        self._count = lambda outcome, n=1: outcomes.labels(group, outcome).inc(n)

    def step(self) -> bool:
        """Work off one batch, if there is one; return whether there was. Raises, to be called again, on any trouble."""
        try:
            consumer = self._membership.join()
            return consumer is not None and self._round(consumer)
        except Exception as error:
            # Whatever was polled comes again. This is also the zombie's case: it slept longer than its session, others
            # have its partitions, and its transaction is refused. It lets go of everything and joins again.
            raise self._membership.lose(error) from error

    def _round(self, consumer: KafkaConsumer) -> bool:
        self._paused.apply(consumer)
        found = clients.poll(consumer, 1 if self._slow else self._batch, self._count)
        member = consumer.group_metadata()  # of now: in this generation the messages are ours
        if not found:
            self._membership.see()
            return False
        batch = self._read(consumer, found)
        events = self._commit(consumer, batch)
        self._publish(consumer, batch, events, member)
        if batch.drops:
            self._membership.let_go()
        self._faults.rest()
        return True

    @property
    def _slow(self) -> bool:
        """Whether messages are processed one by one, so that each is committed when it is done."""
        return self._faults.slow if self._injects_faults else self._faults.throttle > 0

    def _read(self, consumer: KafkaConsumer, found: dict[TopicPartition, list[Any]]) -> Batch:
        """Return the batch of what was polled; a partition ends at a message that must wait."""
        batch = Batch()
        # Since it was polled, or because a partition was assigned anew, and that takes a pause away.
        stopped = self._paused.among(found)
        for partition, records in found.items():
            for record in records:
                must_wait = partition in stopped or (batch.work_items and self._slow)
                if must_wait or not self._take(batch, partition, record):
                    consumer.seek(partition, record.offset)
                    break
                batch.ends[partition] = record.offset + 1
        return batch

    def _take(self, batch: Batch, partition: TopicPartition, record: Any) -> bool:
        """Put a message into the batch, unless it must wait; return whether it is in."""
        try:
            event = clients.parse(record)
            trace.note("delivery", event.order_id, record.topic, by="kafka", event_id=event.event_id)
            batch.work_items.append((record, WorkItem(event, self._faults.inject() if self._injects_faults else None)))
        except InvalidEvent as why:
            batch.dead.append(DeadLetter(record, str(why)))
        except Hang:
            self._paused.hold(partition, record.offset)
            return False
        except Drop:
            batch.drops = True
            return False
        except Exception as error:  # an injected failure
            return self._retry_or_dead_letter(batch, partition, record, error)
        return True

    def _commit(self, consumer: KafkaConsumer, batch: Batch) -> list[Event]:
        """Commit the work of all items and return the events that follow; when it fails, item by item."""
        if not batch.work_items:
            return []
        try:
            return self._work(batch.work_items)
        except INFRASTRUCTURE:  # no message caused it
            raise
        except Exception:
            return self._commit_each(consumer, batch)

    def _commit_each(self, consumer: KafkaConsumer, batch: Batch) -> list[Event]:
        events: list[Event] = []
        work_items, batch.work_items = batch.work_items, []
        stopped: dict[TopicPartition, int] = {}
        for record, item in work_items:
            partition = partition_of_record(record)
            if partition in stopped:
                continue
            try:
                events += self._work([(record, item)])
                batch.work_items.append((record, item))
            except INFRASTRUCTURE:
                raise
            except (*NEVER, InvalidEvent) as error:  # it will not become right by waiting
                batch.dead.append(DeadLetter(record, f"{type(error).__name__}: {error}"))
            except Exception as error:
                if not self._retry_or_dead_letter(batch, partition, record, error):
                    stopped[partition] = record.offset
                    batch.ends[partition] = record.offset
                    consumer.seek(partition, record.offset)
        batch.dead = [
            dead for dead in batch.dead if dead.record.offset < stopped.get(partition_of_record(dead.record), 1 << 63)
        ]
        return events

    def _work(self, work_items: Sequence[tuple[Any, WorkItem]]) -> list[Event]:
        with self._database.transaction() as tx:
            events = list(self._handle(tx, [item for _, item in work_items]))
            if events:  # a projection has none
                causation_ids = {item.event.order_id: origin(record) for record, item in reversed(work_items)}
                events = emitted_events.emit_once(tx, events, causation_ids)
            self._faults.crash_at("before_commit")
        trace.each("commit", (item.event.order_id for _, item in work_items))
        self._faults.crash_at("after_commit")
        return events

    def _retry_or_dead_letter(self, batch: Batch, partition: TopicPartition, record: Any, error: Exception) -> bool:
        """Let the partition wait with this message; after the last try dead-letter it and return True."""
        history, seconds = self._paused.failed(partition, record.offset, error)
        if seconds == 0:
            why = f"failed {len(history)} times, last: {history[-1]['why']}"
            batch.dead.append(DeadLetter(record, why, history))
            return True
        self._count("retried")
        log.warning("trying again in %d s", seconds, extra={"fields": {"origin": origin(record)} | history[-1]})
        return False

    def _publish(
        self, consumer: KafkaConsumer, batch: Batch, events: Sequence[Event], member: ConsumerGroupMetadata
    ) -> None:
        """Publish the result events, and that the batch is done: both or neither."""
        if not batch.ends:
            return
        if events or batch.dead:
            self._publish_all(batch, events, member)
        else:  # without a transaction it is half the work
            consumer.commit(batch.offsets, timeout_ms=int(1000 * WAIT_SECONDS))
        trace.each("ack", (item.event.order_id for _, item in batch.work_items), "offset", to="kafka")
        self._count("done", len(batch.work_items))
        self._count("dead_lettered", len(batch.dead))
        for dead in batch.dead:
            log.error("dead-lettered", extra={"fields": {"why": dead.why, "origin": origin(dead.record)}})
        self._faults.crash_at("after_publish")

    def _publish_all(self, batch: Batch, events: Sequence[Event], member: ConsumerGroupMetadata) -> None:
        if member.generation_id < 0:  # in a transaction, Kafka accepts offsets without a generation from every client
            raise CommitFailedError("this consumer is not in its group any more")
        producer = self._membership.producer
        if producer is None:
            raise ConnectionError("not connected to Kafka")
        trace.each("message", (event.order_id for event in events), "in a transaction", to="kafka")
        kafka_workarounds.begin_transaction(producer)
        sent = [producer.send(topics.TOPIC_OF[e.event_type], key=e.order_id.encode(), value=e.encode()) for e in events]
        sent += [producer.send(topics.DEAD_LETTERS, **dead.for_topic(self._group)) for dead in batch.dead]
        kafka_workarounds.send_offsets(producer, batch.offsets, member)
        for future in sent:
            future.get(WAIT_SECONDS)  # the client would commit a transaction without what it could not deliver
        kafka_workarounds.commit_transaction(producer)
