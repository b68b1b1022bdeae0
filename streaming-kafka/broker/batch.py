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
    offsets: dict[TopicPartition, OffsetAndMetadata] = field(default_factory=dict)
    drops: bool = False  # the connection is to be dropped after it

    def ends(self, partition: TopicPartition, offset: int) -> None:
        """Let the next round begin at this offset of the partition."""
        self.offsets[partition] = OffsetAndMetadata(offset, "", -1)
