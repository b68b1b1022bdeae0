"""Partitions from which a consumer takes nothing for a while, without leaving its group.

A partition is in order: behind a message that is to be retried, all others wait. The other partitions go on.
"""

from collections.abc import Iterable
from dataclasses import dataclass, field

from campus import clock
from campus.faults import Faults
from campus.orders import utc_now
from campus.retry import RETRY_SECONDS
from kafka import KafkaConsumer, TopicPartition


@dataclass(slots=True)
class PausedPartition:
    """A partition that waits with a message that failed; or that is held, for as long as that fault stands."""

    offset: int
    until: float = 0.0
    held: bool = False
    history: list[dict[str, str]] = field(default_factory=list)


class PausedPartitions:
    """Those of one consumer."""

    def __init__(self, faults: Faults) -> None:
        self._faults = faults
        self._paused: dict[TopicPartition, PausedPartition] = {}

    def among(self, partitions: Iterable[TopicPartition]) -> set[TopicPartition]:
        """Return those of these partitions from which nothing is to be taken now."""
        now = clock.monotonic()
        paused = {p for p, w in self._paused.items() if (self._faults.hangs if w.held else w.until > now)}
        return {p for p in partitions if self._faults.paused or p in paused}

    def apply(self, consumer: KafkaConsumer) -> None:
        """Let the consumer take messages from all of its partitions but these."""
        wanted, paused = self.among(consumer.assignment()), consumer.paused()
        consumer.pause(*(wanted - paused))
        consumer.resume(*(paused - wanted))

    def hold(self, partition: TopicPartition, offset: int) -> None:
        """Hold the message at this offset for as long as the fault `hang` stands."""
        self._paused[partition] = PausedPartition(offset, held=True)

    def failed(self, partition: TopicPartition, offset: int, error: Exception) -> tuple[list[dict[str, str]], int]:
        """Note that the message at this offset failed; return its failures, and in how many seconds it is retried.

        After the last try it is 0: the message is to be dead-lettered.
        """
        before = self._paused.pop(partition, None)
        history = before.history if before and before.offset == offset else []
        history.append({"at": utc_now(), "why": f"{type(error).__name__}: {error}"})
        if len(history) > len(RETRY_SECONDS):
            return history, 0
        seconds = RETRY_SECONDS[len(history) - 1]
        self._paused[partition] = PausedPartition(offset, until=clock.monotonic() + seconds, history=history)
        return history, seconds
