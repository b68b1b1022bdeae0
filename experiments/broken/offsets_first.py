"""Offsets are committed before the work: Kafka is told that a batch is done when it has only been read."""

from broker.kafka_workarounds import WAIT_SECONDS
from broker.stream import Batch, Stream
from campus.messages import Message
from campus.work import INFRASTRUCTURE
from inventory_consumer.app import create_app
from kafka import KafkaConsumer

PART = "streaming-kafka"
SERVICE = "inventory"
STORY = "dies_at_work"
CAUGHT_BY = ("INV-1",)
REPLACES = ("broker.stream.Stream._commit",)


def _commit(self, consumer: KafkaConsumer, batch: Batch) -> list[Message]:
    """Commit the work of all tasks and return the events that follow; when it fails, task by task."""
    consumer.commit(batch.offsets, timeout_ms=1000 * WAIT_SECONDS)
    if not batch.tasks:
        return []
    try:
        return self._work(batch.tasks)
    except INFRASTRUCTURE:  # no message is to blame
        raise
    except Exception:
        return self._commit_each(consumer, batch)


Stream._commit = _commit

__all__ = ["create_app"]
