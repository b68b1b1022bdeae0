"""F4: RabbitMQ dead-letters what came back too often, and each lost connection returns all that was fetched.

The limit was 100 returns; here it is 2, as a schedule is short.
"""

from broker.consumer import Consumer
from inventory_service.app import create_app

PART = "async-rabbitmq"
SERVICE = "inventory"
STORY = "comes_again"
CAUGHT_BY = ("infrastructure",)
REPLACES = ("broker.consumer.Consumer._on_message",)
MAX_RETURNS = 2

on_message = Consumer._on_message


def _on_message(self, channel, method, properties, body):
    if (properties.headers or {}).get("x-delivery-count", 0) > MAX_RETURNS:
        channel.basic_reject(method.delivery_tag, requeue=False)  # as the queue itself does at its limit
    else:
        on_message(self, channel, method, properties, body)
        self._fetch_many(channel)


Consumer._on_message = _on_message

__all__ = ["create_app"]
