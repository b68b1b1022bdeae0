"""Orders over Kafka: every message of Part C, from its topics and from the rules that check a message."""

from typing import Any

from campus import asyncapi

from broker.topics import EVENTS_OF, PARTITIONS


def document() -> dict[str, Any]:
    """Show the messages of this part as an AsyncAPI document: a channel for each topic of events."""
    channels = {topic: _channel(topic) for topic in EVENTS_OF}
    return asyncapi.document(__doc__ or "", {"host": "127.0.0.1:8024", "protocol": "kafka"}, channels, EVENTS_OF)


def _channel(topic: str) -> dict[str, Any]:
    text = f"The topic {topic}. The key of a message is its order_id, so the events of one order are in one partition."
    shape = {"topic": topic, "partitions": PARTITIONS[topic], "bindingVersion": "0.5.0"}
    return {"address": topic, "description": text, "bindings": {"kafka": shape}}
