"""Two floors for producing in bulk: each client in a bare loop that encodes, sends, and waits for all acknowledgements.

Usage: python -m benchmarks.baselines.kafka_produce BOOTSTRAP TOPIC kafka-python|confluent-kafka COUNT
Prints {"orders": …, "acknowledged": …, "seconds": …, "client": …}; connecting and a first small round are not in it.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

from campus import gunicorn_conf, jsons
from campus.messages import ORDER_PLACED, partition_of

WARM_UP = 1000
AT = "2026-01-31T12:00:00.000001Z"

Produce = Callable[[int], int]  # produces so many events, and returns how many were acknowledged


def envelope(n: int) -> tuple[bytes, bytes]:
    """Return an event's key and body, of the same shape and size as a service's."""
    order_id = f"{n:036d}"
    body = {
        "event_id": order_id,
        "event_type": ORDER_PLACED,
        "schema_version": 1,
        "occurred_at": AT,
        "order_id": order_id,
        "request_id": order_id,
        "data": {"user_id": f"bulk-1-{n:06d}", "items": [{"sku": "burger", "qty": 1}]},
    }
    return order_id.encode(), jsons.dumps(body)


def with_kafka_python(bootstrap: str, topic: str) -> Produce:
    """Connect with kafka-python, whose defaults are acks=all and idempotence."""
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=bootstrap)
    partitions = len(producer.partitions_for(topic))

    def produce(count: int) -> int:
        sent = []
        for key, body in map(envelope, range(count)):
            sent.append(producer.send(topic, key=key, value=body, partition=partition_of(key, partitions)))
        producer.flush()
        return sum(future.succeeded() for future in sent)

    return produce


def with_confluent_kafka(bootstrap: str, topic: str) -> Produce:
    """Connect with confluent-kafka."""
    from confluent_kafka import Producer

    most = {"queue.buffering.max.messages": 200_000, "partitioner": "consistent"}
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, **most})

    def produce(count: int) -> int:
        troubles = []
        for key, body in map(envelope, range(count)):
            producer.produce(topic, body, key, on_delivery=lambda error, _: troubles.append(error))
            producer.poll(0)
        producer.flush()
        return troubles.count(None)

    return produce


CLIENTS = {"kafka-python": with_kafka_python, "confluent-kafka": with_confluent_kafka}


def main(bootstrap: str, topic: str, client: str, count: str) -> None:
    """Produce `count` events and print how long that took."""
    gunicorn_conf.take_core()  # on the same core and with the same priority as the service's worker
    produce = CLIENTS[client](bootstrap, topic)
    produce(WARM_UP)
    began = time.monotonic()
    acknowledged = produce(int(count))
    seconds = time.monotonic() - began
    told = {"orders": int(count), "acknowledged": acknowledged, "seconds": seconds}
    print(json.dumps(told | {"client": f"{client} {version(client)}"}))


if __name__ == "__main__":
    main(*sys.argv[1:])
