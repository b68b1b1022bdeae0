"""The exchange, the queues and their bindings: declared from here and nowhere else, by every service that connects.

An event goes to the exchange `orders` under a routing key, and from there to each queue whose binding fits. Beside each
queue stand its dead-letter queue and four retry queues: a message that failed waits there for 1, 2, 4 or 8 s, and is
then handed back to the queue by the broker itself.
"""

from collections.abc import Iterator
from typing import Any

from campus.events import INVENTORY_FAILED, INVENTORY_RESERVED, NOTIFICATION_SENT, ORDER_PLACED
from campus.retry import RETRY_SECONDS

EXCHANGE = "orders"
KEYS = {
    ORDER_PLACED: "order.placed",
    INVENTORY_RESERVED: "inventory.reserved",
    INVENTORY_FAILED: "inventory.failed",
    NOTIFICATION_SENT: "notification.sent",
}
# Each queue with the routing keys that lead to it.
QUEUES = {
    "order-placed": [KEYS[ORDER_PLACED]],
    "inventory-reserved": [KEYS[INVENTORY_RESERVED]],
    "order-status": [KEYS[INVENTORY_RESERVED], KEYS[INVENTORY_FAILED], KEYS[NOTIFICATION_SENT]],
}
# RabbitMQ counts a delivery for each message that was on its way when a connection was lost, for any cause. It must
# dead-letter none for that (RabbitMQ 4 does after 20, where nothing is said): the worker decides.
NO_LIMIT = 1_000_000


def dead_letters(queue: str) -> str:
    """Return the name of a queue's dead-letter queue."""
    return f"{queue}.dlq"


def retry_queue(queue: str, seconds: int) -> str:
    """Return the name of the queue in which a queue's failed messages wait so long."""
    return f"{queue}.retry-{seconds}s"


def declare(channel: Any) -> None:
    """Declare everything, whether it is there or not; on a channel of any of pika's connections."""
    channel.exchange_declare(EXCHANGE, "topic", durable=True)
    for queue in QUEUES:
        for name, arguments in _with_its_helpers(queue):
            # Quorum queues: replicated where there is more than one node, and safe on disk before they are confirmed.
            channel.queue_declare(name, durable=True, arguments={"x-queue-type": "quorum"} | arguments)
        _bind(channel, queue)


def look(channel: Any) -> None:
    """Ask for all queues and bindings: RabbitMQ closes the channel if one, or the exchange, is not there."""
    for queue in QUEUES:
        for name, _ in _with_its_helpers(queue):
            channel.queue_declare(name, passive=True)
        _bind(channel, queue)  # there is no way to ask


def _with_its_helpers(queue: str) -> Iterator[tuple[str, dict[str, Any]]]:
    """Yield a queue, its dead-letter queue and its retry queues, with their arguments."""
    yield dead_letters(queue), {"x-delivery-limit": NO_LIMIT}
    yield queue, _dead_lettered_to(dead_letters(queue)) | {"x-delivery-limit": NO_LIMIT}
    for seconds in RETRY_SECONDS:
        yield retry_queue(queue, seconds), _dead_lettered_to(queue) | {"x-message-ttl": 1000 * seconds}


def _bind(channel: Any, queue: str) -> None:
    for key in QUEUES[queue]:
        channel.queue_bind(queue, EXCHANGE, key)


def _dead_lettered_to(queue: str) -> dict[str, Any]:
    """Dead-letter by the default exchange, with confirms inside the broker, so that nothing is lost on the way."""
    return {
        "x-dead-letter-exchange": "",
        "x-dead-letter-routing-key": queue,
        "x-dead-letter-strategy": "at-least-once",
        "x-overflow": "reject-publish",
    }
