"""No publisher confirms: what was written to the connection is taken for published."""

from collections.abc import Sequence

from broker.publisher import Outgoing, Publisher, _Batch, trace_sent
from order_service.app import create_app

PART = "async-rabbitmq"
SERVICE = "order"
STORY = "broker_dies"
CAUGHT_BY = ("INV-1",)
REPLACES = ("broker.publisher.Publisher.publish",)


def publish(self, messages: Sequence[Outgoing], *, timeout: float) -> list[str | None]:
    """Publish in this order; return for each message None.

    Raises BrokerDown, with nothing sent, when there is no connection or RabbitMQ takes no messages.
    """
    if not messages:
        return []
    self._connection.check()
    batch = _Batch(messages)
    trace_sent(messages)
    self._handed.append(batch)
    self._connection.call(self._send)
    return [None] * len(messages)


Publisher.publish = publish

__all__ = ["create_app"]
