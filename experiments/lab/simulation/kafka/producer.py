"""kafka-python's producer, over the broker in memory: the part of its interface that the services use."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import SimpleNamespace
from typing import Any

from kafka import TopicPartition
from kafka.errors import CommitFailedError as CommitFailed
from kafka.errors import (
    FencedInstanceIdError,
    IllegalGenerationError,
    KafkaError,
    KafkaTimeoutError,
    UnknownMemberIdError,
)
from kafka.structs import ConsumerGroupMetadata, OffsetAndMetadata

from lab.simulation.kafka.broker import Broker
from lab.simulation.kafka.host import Host, request
from lab.simulation.kafka.logs import ABORTED, COMMITTED

WAIT_SECONDS = 5.0  # as broker/kafka_workarounds.py has it


@dataclass
class Batch:
    """A record that was handed to the producer, and what became of it."""

    partition: TopicPartition
    content: dict[str, Any]
    deadline: float
    is_written: bool = False
    is_done: bool = False
    error: KafkaError | None = None


class Future:
    """What `send` returns."""

    def __init__(self, producer: "Producer", batch: Batch) -> None:
        self._producer, self._batch = producer, batch

    def get(self, timeout: float | None = None) -> Batch:
        """Wait until Kafka has acknowledged the record. Raises KafkaError."""
        self._producer.await_batch(self._batch, timeout)
        if self._batch.error:
            raise self._batch.error
        if not self._batch.is_done:
            raise KafkaTimeoutError(f"no acknowledgement within {timeout:g} s")
        return self._batch


class Producer:
    """An idempotent producer; with a transactional id it writes in transactions."""

    def __init__(
        self,
        host: Host,
        broker: Broker,
        *,
        transactional_id: str | None = None,
        delivery_timeout_ms: int = 120_000,
        max_block_ms: int = 60_000,
        **_: Any,
    ) -> None:
        self.host, self._broker, self._id = host, broker, transactional_id
        self._delivery_seconds, self._block_seconds = delivery_timeout_ms / 1000, max_block_ms / 1000
        self.pending: list[Batch] = []
        self._epoch = -1
        self._error: KafkaError | None = None
        self._sender = SimpleNamespace(force_close=self._drop)

    def partitions_for(self, topic: str) -> set[int]:
        """Return the numbers of a topic's partitions."""
        return set(range(len(self._broker.logs.partitions[topic])))

    def send(
        self,
        topic: str,
        value: bytes | None = None,
        key: bytes | None = None,
        headers: list[tuple[str, bytes]] | None = None,
        partition: int | None = None,
    ) -> Future:
        """Hand over a record: it is written when Kafka is reached, in time."""
        self._must_work()
        to = self._broker.partition_for(topic, key) if partition is None else TopicPartition(topic, partition)
        content = {"key": key, "value": value, "headers": list(headers or ())}
        batch = Batch(to, content, self.host.now() + self._delivery_seconds)
        self.host.effect("produce:before")
        self.pending.append(batch)
        self.host.record("message", topic, key)
        if self.host.reaches():
            self._write()
            self.host.effect("produce:after")
        self.turn()
        return Future(self, batch)

    def await_batch(self, batch: Batch, timeout: float | None) -> None:
        """Let time pass until a record is acknowledged or has failed, at most so long."""
        deadline = min(batch.deadline, self.host.now() + (timeout if timeout is not None else float("inf")))
        for _ in range(2):  # until Kafka is reached again, and then to the end
            self.turn()
            seconds = min(deadline - self.host.now(), self.host.back_in())
            if not batch.is_done and not batch.error and seconds > 0:
                self.host.sleep(seconds)
        self.turn()

    def turn(self) -> None:
        """Do what the producer's own thread does."""
        if self.pending:
            if self.host.reaches():
                self._write()
                for batch in self.pending:
                    batch.is_done = batch.is_written
            for batch in self.pending:
                if not batch.is_done and batch.deadline <= self.host.now():
                    batch.error = batch.error or KafkaTimeoutError("not acknowledged in time")
                if batch.error and self._id:
                    self._error = self._error or batch.error
            self.pending = [batch for batch in self.pending if not batch.is_done and not batch.error]

    def _write(self) -> None:
        for batch in self.pending:
            if not batch.is_written and not batch.error:
                try:
                    transaction = self._broker.transaction(self._id, self._epoch) if self._id else None
                except KafkaError as error:
                    batch.error = error
                else:
                    self._broker.write(batch.partition, transaction, **batch.content)
                    batch.is_written = True

    # transactions

    def init_transactions(self) -> None:
        """Begin an epoch. Raises KafkaTimeoutError."""
        assert self._id
        self._epoch = request(self.host, "epoch", self._block_seconds, lambda: self._broker.begin_epoch(str(self._id)))

    def begin_transaction(self) -> None:
        """Begin a transaction; the broker hears of it with the first record."""
        self._must_work()

    def send_offsets(self, offsets: Mapping[TopicPartition, OffsetAndMetadata], member: ConsumerGroupMetadata) -> None:
        """Put offsets into the transaction. Raises KafkaError."""
        self._must_work()

        def add() -> None:
            transaction = self._broker.transaction(str(self._id), self._epoch)
            self._broker.add_offsets(transaction, member, dict(offsets))

        self._ask("transaction-offsets", add)

    def commit(self) -> None:
        """Commit the transaction. Raises KafkaError."""
        self._must_work()
        self._ask("transaction", lambda: self._broker.end(str(self._id), self._epoch, COMMITTED))
        self.host.record("commit", "commits its transaction")

    def abort_transaction(self) -> None:
        """Abort the transaction. Raises KafkaError."""
        self._ask("transaction", lambda: self._broker.end(str(self._id), self._epoch, ABORTED))
        self._error = None

    def _ask(self, what: str, arrive: Any) -> None:
        try:
            request(self.host, what, WAIT_SECONDS, arrive)
        except (IllegalGenerationError, UnknownMemberIdError) as error:
            why = f"Transaction offset commit failed due to consumer group metadata mismatch: {type(error).__name__}"
            self._error = CommitFailed(why)
            raise self._error from None
        except FencedInstanceIdError as error:
            self._error = error
            raise
        except KafkaError as error:
            self._error = self._error or error
            raise

    def _must_work(self) -> None:
        if self._error:
            raise KafkaError(f"Cannot execute transactional method because we are in an error state: {self._error}")

    def _drop(self) -> None:
        for batch in self.pending:
            batch.error = KafkaTimeoutError("the producer was closed")
        self.pending = []

    def close(self, timeout: float | None = None) -> None:
        """Close it: what was not written is dropped."""
        self._drop()
