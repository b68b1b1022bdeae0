"""One BlockingConnection shared by threads: every request publishes for itself, over the connection that there is."""

import os

import pika
from broker.topology import EXCHANGE, KEYS
from campus import clock, outbox
from order_service.app import create_app
from order_service.relay import BATCH, IDLE_SECONDS, Relay
from pika.adapters.blocking_connection import BlockingChannel

PART = "async-rabbitmq"
SERVICE = "order"
STORY = "many_at_once"
CAUGHT_BY = ("INV-1", "INV-7")
REPLACES = ("order_service.relay.Relay.wake", "order_service.relay.Relay.step")

shared: list[BlockingChannel] = []


def wake(self) -> None:
    """Publish what was put into the outbox."""
    with self._database.transaction() as tx:
        rows = outbox.oldest(tx, BATCH)
        outbox.remove(tx, [event_id for event_id, _, _ in rows])
    for event_id, kind, body in rows:
        properties = pika.BasicProperties(delivery_mode=2, message_id=event_id)
        shared[0].basic_publish(EXCHANGE, KEYS[kind], body, properties, mandatory=True)


def step(self) -> bool:
    """Connect, once; return False, as there is nothing to publish here."""
    if not shared:
        connection = pika.BlockingConnection(pika.URLParameters(os.environ["RABBITMQ_URL"]))
        shared.append(connection.channel())
        shared[0].confirm_delivery()
    clock.sleep(IDLE_SECONDS)
    return False


Relay.wake, Relay.step = wake, step

__all__ = ["create_app"]
