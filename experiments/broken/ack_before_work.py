"""Ack before work: RabbitMQ may forget a message as soon as it has sent it."""

from collections.abc import Sequence
from typing import Any

from broker.consumer import Consumer, Delivery
from inventory_service.app import create_app
from pika.channel import Channel

PART = "async-rabbitmq"
SERVICE = "inventory"
STORY = "dies_at_work"
CAUGHT_BY = ("INV-1",)
REPLACES = ("broker.consumer.Consumer._consume", "broker.consumer.Consumer.ack")


def _consume(self, channel: Channel, prefetch: int) -> None:
    def registered(_frame: Any) -> None:
        self._tag, self._other_since = tag, None

    channel.basic_qos(prefetch_count=prefetch)
    tag = channel.basic_consume(self.queue, self._on_message, auto_ack=True, callback=registered)


def ack(self, deliveries: Sequence[Delivery], *, all_before: bool) -> None:
    """Do nothing: RabbitMQ took them for done when it sent them."""


Consumer._consume = _consume
Consumer.ack = ack

__all__ = ["create_app"]
