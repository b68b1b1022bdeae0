"""Ack before work: RabbitMQ may forget a message as soon as it has sent it."""

from collections.abc import Sequence

from broker.consumer import PREFETCH, Consumer, Delivery
from inventory_service.app import create_app
from pika.channel import Channel

PART = "async-rabbitmq"
SERVICE = "inventory"
STORY = "dies_at_work"
CAUGHT_BY = ("INV-1",)
REPLACES = ("broker.consumer.Consumer._opened", "broker.consumer.Consumer.ack")


def _opened(self, channel: Channel) -> None:
    self._channel = channel
    channel.add_on_cancel_callback(lambda _: self.drop())  # the queue is gone: the next connection declares it anew
    channel.basic_qos(prefetch_count=PREFETCH)
    channel.basic_consume(self.queue, self._on_message, auto_ack=True)


def ack(self, deliveries: Sequence[Delivery], *, all_before: bool) -> None:
    """Do nothing: RabbitMQ took them for done when it sent them."""


Consumer._opened = _opened
Consumer.ack = ack

__all__ = ["create_app"]
