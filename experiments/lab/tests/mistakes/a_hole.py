"""A mistake of programming in a loop, which a service outlives: the simulation must not take it for a fault."""

from broker.publisher import Publisher
from order_service.app import create_app

PART = "async-rabbitmq"
SERVICE = "order"
STORY = "broker_dies"
CAUGHT_BY = ()
REPLACES = ("broker.publisher.Publisher.publish",)


def publish(self, messages, *, timeout):
    """Publish."""
    return self._connection.no_such_thing(messages)


Publisher.publish = publish

__all__ = ["create_app"]
