"""No acknowledgements: an event counts as told when it was handed to the client library."""

from collections.abc import Iterable

from broker.producer import Producer, _send
from campus.events import Event
from producer_order.app import create_app

PART = "streaming-kafka"
SERVICE = "order"
STORY = "broker_dies"
CAUGHT_BY = ("INV-1", "INV-8", "broker-dies-unknown")
REPLACES = ("broker.producer.Producer.publish",)


def publish(self, events: Iterable[Event]) -> list[str | None]:
    """Produce; return for each event None."""
    self.check()
    return [_send(self._producer, event) and None for event in events]


Producer.publish = publish

__all__ = ["create_app"]
