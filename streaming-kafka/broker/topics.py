"""The topics and the groups: made from here and nowhere else, by every service that connects.

All keys are order ids, so that the events of one order stay in one partition, in order.
"""

import contextlib
from typing import Any

from campus.events import INVENTORY_FAILED, INVENTORY_RESERVED, NOTIFICATION_SENT, ORDER_PLACED, partition_of
from kafka import KafkaAdminClient
from kafka.errors import TopicAlreadyExistsError
from kafka.partitioner import DefaultPartitioner

ORDERS, INVENTORY, NOTIFICATIONS, DEAD_LETTERS = (
    "order-events", "inventory-events", "notification-events", "order-events.dlq")  # fmt: skip
PARTITIONS = {ORDERS: 6, INVENTORY: 6, NOTIFICATIONS: 6, DEAD_LETTERS: 1}
TOPIC_OF = {
    ORDER_PLACED: ORDERS,
    INVENTORY_RESERVED: INVENTORY,
    INVENTORY_FAILED: INVENTORY,
    NOTIFICATION_SENT: NOTIFICATIONS,
}
EVENTS_OF = {topic: tuple(kind for kind, place in TOPIC_OF.items() if place == topic) for topic in TOPIC_OF.values()}


class ByKey(DefaultPartitioner):
    """Chooses the partition of an event: one key, one partition. Every producer here has it."""

    def partition(
        self, topic: str, key: Any, serialized_key: bytes | None, value: Any, serialized_value: Any, cluster: Any
    ) -> int:
        """Return the partition; any, when there is no key."""
        if serialized_key is None:
            return super().partition(topic, key, serialized_key, value, serialized_value, cluster)
        return partition_of(serialized_key, len(cluster.partitions_for_topic(topic)))


class WrongPartitions(Exception):
    """A topic is there with fewer partitions than this lab needs."""


def ensure(admin: KafkaAdminClient) -> None:
    """Make the topics that are not there yet. Raises WrongPartitions when one has fewer partitions; more do no harm."""
    there = set(admin.list_topics())
    for name in PARTITIONS.keys() - there:
        # -1: as many copies as the brokers' settings say, one on a single node and three on three.
        shape = {"num_partitions": PARTITIONS[name], "replication_factor": -1, "configs": {}}
        with contextlib.suppress(TopicAlreadyExistsError):  # another service was quicker
            admin.create_topics({name: shape}, wait_for_metadata=True)
    for topic in admin.describe_topics(list(PARTITIONS)):
        name, count = topic["name"], len(topic["partitions"])
        if 0 < count < PARTITIONS[name]:  # 0: another service is making it just now
            tool = f"kafka-topics.sh --bootstrap-server … --alter --topic {name} --partitions {PARTITIONS[name]}"
            raise WrongPartitions(f"the topic {name} has {count} partitions and needs {PARTITIONS[name]}: {tool}")
