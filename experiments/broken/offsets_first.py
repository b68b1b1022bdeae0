"""Offsets are committed before the work: Kafka is told that a batch is done when it has only been read."""

from broker.batch import Batch
from broker.kafka_workarounds import WAIT_SECONDS
from broker.transactional_consumer import TransactionalConsumer
from campus.events import Event
from campus.retry import INFRASTRUCTURE
from inventory_consumer.app import create_app
from kafka import KafkaConsumer

PART = "streaming-kafka"
SERVICE = "inventory"
STORY = "dies_at_work"
CAUGHT_BY = ("INV-1",)
REPLACES = ("broker.transactional_consumer.TransactionalConsumer._commit",)


def _commit(self, consumer: KafkaConsumer, batch: Batch) -> list[Event]:
    """Commit the work of all items and return the events that follow; when it fails, item by item."""
    consumer.commit(batch.offsets, timeout_ms=1000 * WAIT_SECONDS)
    if not batch.work_items:
        return []
    try:
        return self._work(batch.work_items)
    except INFRASTRUCTURE:  # no message is to blame
        raise
    except Exception:
        return self._commit_each(consumer, batch)


TransactionalConsumer._commit = _commit

__all__ = ["create_app"]
