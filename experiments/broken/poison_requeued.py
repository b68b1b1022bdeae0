"""Poison is put back into its queue, for ever: it may be readable the next time."""

from broker.consumer import Delivery
from broker.publisher import Outgoing
from broker.worker import Worker, _outgoing
from inventory_service.app import create_app

PART = "async-rabbitmq"
SERVICE = "inventory"
STORY = "unreadable"
CAUGHT_BY = ("unreadable-put-aside",)
REPLACES = ("broker.worker.Worker._dead_letter",)


def _dead_letter(self, delivery: Delivery, reason: str, history: list[dict[str, str]] | None = None) -> Outgoing:
    return _outgoing(delivery, self._consumer.queue, {})


Worker._dead_letter = _dead_letter

__all__ = ["create_app"]
