"""What one round of a consumer of Kafka does."""

from dataclasses import dataclass, field
from typing import Any

from campus.retry import WorkItem
from kafka import TopicPartition
from kafka.structs import OffsetAndMetadata

from broker.dead_letters import DeadLetter


@dataclass(slots=True)
class Batch:
    """What one round does: work items, messages for the dead-letter topic, and the offsets after them."""

    work_items: list[tuple[Any, WorkItem]] = field(default_factory=list)  # with the record of each
    dead: list[DeadLetter] = field(default_factory=list)
    ends: dict[TopicPartition, int] = field(default_factory=dict)  # the offset at which the next round begins
    drops: bool = False  # the connection is to be dropped after it

    @property
    def offsets(self) -> dict[TopicPartition, OffsetAndMetadata]:
        """What is committed to Kafka: where the next round begins."""
        return {partition: OffsetAndMetadata(offset, "", -1) for partition, offset in self.ends.items()}


def partition_of_record(record: Any) -> TopicPartition:
    """Return the partition from which a record was polled."""
    return TopicPartition(record.topic, record.partition)
