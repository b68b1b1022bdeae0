"""Orders over RabbitMQ: every message of Part B, from the topology and from the rules that check a message."""

from typing import Any

from campus import asyncapi

from broker.topology import EXCHANGE, KEYS, QUEUES


def document() -> dict[str, Any]:
    """Show the messages of this part as an AsyncAPI document: a channel for each queue, with what its keys let in."""
    kinds = {key: event for event, key in KEYS.items()}
    sends = {queue: [kinds[key] for key in keys] for queue, keys in QUEUES.items()}
    channels = {queue: _channel(queue, keys) for queue, keys in QUEUES.items()}
    return asyncapi.document(__doc__ or "", {"host": "127.0.0.1:8013", "protocol": "amqp"}, channels, sends)


def _channel(queue: str, keys: list[str]) -> dict[str, Any]:
    text = f"The queue {queue}, to which the exchange {EXCHANGE} sends the routing keys {', '.join(keys)}."
    shape = {"is": "queue", "queue": {"name": queue, "durable": True, "exclusive": False, "autoDelete": False}}
    return {"address": queue, "description": text, "bindings": {"amqp": {**shape, "bindingVersion": "0.3.0"}}}
