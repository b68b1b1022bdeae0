"""Offsets go into the transaction without the member and its generation: Kafka takes those of a zombie, too."""

from collections.abc import Sequence

from broker import kafka_workarounds, topics
from broker.batch import Batch
from broker.kafka_workarounds import WAIT_SECONDS
from broker.transactional_consumer import TransactionalConsumer
from campus.events import Event
from inventory_consumer.app import create_app
from kafka.structs import ConsumerGroupMetadata

PART = "streaming-kafka"
SERVICE = "inventory"
STORY = "dies_at_work"
CAUGHT_BY = ("LOG-1",)
REPLACES = ("broker.transactional_consumer.TransactionalConsumer._publish_all",)


def _publish_all(self, batch: Batch, events: Sequence[Event], member: ConsumerGroupMetadata) -> None:
    producer = self._membership.producer
    producer.begin_transaction()
    sent = [producer.send(topics.TOPIC_OF[e.event_type], key=e.order_id.encode(), value=e.encode()) for e in events]
    sent += [producer.send(topics.DEAD_LETTERS, **dead.for_topic(self._group)) for dead in batch.dead]
    kafka_workarounds.send_offsets(producer, batch.offsets, ConsumerGroupMetadata(self._group))
    for future in sent:
        future.get(WAIT_SECONDS)
    kafka_workarounds.commit_transaction(producer)


TransactionalConsumer._publish_all = _publish_all

__all__ = ["create_app"]
