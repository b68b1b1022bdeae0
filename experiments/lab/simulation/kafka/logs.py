"""What a Kafka in memory keeps: records in partitions, and the transactions that they belong to."""

from dataclasses import dataclass, field
from typing import Any

from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

OPEN, COMMITTED, ABORTED = "open", "committed", "aborted"
Offsets = dict[TopicPartition, OffsetAndMetadata]


@dataclass(slots=True)
class Transaction:
    """A transaction: it begins with the first record or offset, and ends for all of them at once."""

    began: float
    state: str = OPEN
    partitions: list[TopicPartition] = field(default_factory=list)
    offsets: dict[str, Offsets] = field(default_factory=dict)  # by group


@dataclass(slots=True)
class Identity:
    """A transactional id: only the producer of its present epoch may write under it."""

    epoch: int = -1
    transaction: Transaction | None = None


@dataclass(slots=True)
class Record:
    """A record of a partition, as a consumer gets it; a marker ends a transaction, and no consumer gets it."""

    topic: str
    partition: int
    offset: int
    key: bytes | None = None
    value: bytes | None = None
    headers: list[tuple[str, bytes]] = field(default_factory=list)
    transaction: Transaction | None = None
    is_marker: bool = False

    @property
    def is_visible(self) -> bool:
        """Whether it is in the committed view."""
        return not self.is_marker and (self.transaction is None or self.transaction.state == COMMITTED)

    @property
    def is_open(self) -> bool:
        """Whether it holds up those who read committed records only."""
        return self.transaction is not None and self.transaction.state == OPEN


class Logs:
    """The topics, and what is in them."""

    def __init__(self) -> None:
        self.partitions: dict[str, list[list[Record]]] = {}

    def __getitem__(self, partition: TopicPartition) -> list[Record]:
        return self.partitions[partition.topic][partition.partition]

    def create(self, topic: str, partitions: int) -> None:
        """Make a topic."""
        self.partitions[topic] = [[] for _ in range(partitions)]

    def append(self, to: TopicPartition, **content: Any) -> Record:
        """Write a record at the end of a partition."""
        log = self[to]
        log.append(Record(to.topic, to.partition, len(log), **content))
        return log[-1]

    def end(self, transaction: Transaction, state: str) -> None:
        """Commit or abort: a marker is written into each partition that has records of it."""
        transaction.state = state
        for partition in transaction.partitions:
            self.append(partition, is_marker=True)

    def read(self, partition: TopicPartition, start: int, most: int, *, committed: bool) -> tuple[list[Record], int]:
        """Return at most so many records from an offset on, and the offset after them.

        Who reads committed ones gets nothing behind an open transaction, and nothing of an aborted one.
        """
        found: list[Record] = []
        for record in self[partition][start:]:
            if len(found) == most or (committed and record.is_open):
                break
            start = record.offset + 1
            if record.is_visible or not (committed or record.is_marker):
                found.append(record)
        return found, start

    def end_offset(self, partition: TopicPartition, *, committed: bool) -> int:
        """Return the offset after the last record; for a reader of committed ones, that of the first open one."""
        log = self[partition]
        return next((record.offset for record in log if record.is_open), len(log)) if committed else len(log)

    def is_read(self, partition: TopicPartition, offset: int) -> bool:
        """Whether nothing that a reader of committed records waits for is behind this offset."""
        return not any(record.is_visible or record.is_open for record in self[partition][offset:])

    def visible(self, topic: str) -> list[Record]:
        """Return the committed view of a topic."""
        return [record for log in self.partitions.get(topic, ()) for record in log if record.is_visible]
