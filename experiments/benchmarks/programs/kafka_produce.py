"""Two bare baselines for producing in bulk: a loop that encodes, sends, and waits for all acknowledgements.

Usage: python -m benchmarks.programs.kafka_produce kafka-python|confluent-kafka BOOTSTRAP COUNT TOPIC
Prints {"orders": …, "acknowledged": …, "seconds": …, "client": …}; connecting and a first small round are not in it.
"""

import json
import sys
import time
from collections.abc import Callable
from importlib.metadata import version

from campus import gunicorn_conf, jsons
from campus.events import ORDER_PLACED, partition_of

WARM_UP = 1000


def envelope(n: int) -> tuple[bytes, bytes]:
    """Return an event's key and body, of the same shape and size as a service's."""
    ids = dict.fromkeys(("event_id", "order_id", "request_id"), f"{n:036d}")
    head = {"event_type": ORDER_PLACED, "schema_version": 1, "occurred_at": "2026-01-31T12:00:00.000001Z"}
    data = {"user_id": f"bulk-1-{n:06d}", "items": [{"sku": "burger", "qty": 1}]}
    return ids["order_id"].encode(), jsons.dumps(ids | head | {"data": data})


def with_kafka_python(bootstrap: str, topic: str) -> Callable[[int], int]:
    """Connect with kafka-python; return what produces so many events and returns how many were acknowledged."""
    from kafka import KafkaProducer

    producer = KafkaProducer(bootstrap_servers=bootstrap)  # acks=all and idempotence are its defaults
    partitions = len(producer.partitions_for(topic))

    def produce(count: int) -> int:
        events = map(envelope, range(count))
        sent = [producer.send(topic, body, key, partition=partition_of(key, partitions)) for key, body in events]
        producer.flush()
        return sum(future.succeeded() for future in sent)

    return produce


def with_confluent_kafka(bootstrap: str, topic: str) -> Callable[[int], int]:
    """Do the same with confluent-kafka."""
    from confluent_kafka import Producer

    options = {"queue.buffering.max.messages": 200_000, "partitioner": "consistent"}
    producer = Producer({"bootstrap.servers": bootstrap, "acks": "all", "enable.idempotence": True, **options})

    def produce(count: int) -> int:
        errors = []
        for key, body in map(envelope, range(count)):
            producer.produce(topic, body, key, on_delivery=lambda error, _: errors.append(error))
            producer.poll(0)
        producer.flush()
        return errors.count(None)

    return produce


CLIENTS = {"kafka-python": with_kafka_python, "confluent-kafka": with_confluent_kafka}

if __name__ == "__main__":
    gunicorn_conf.take_core()  # on the same core and with the same priority as the service's worker
    client, bootstrap, count, topic = sys.argv[1:]
    produce = CLIENTS[client](bootstrap, topic)
    produce(WARM_UP)
    began = time.monotonic()
    done = {"orders": int(count), "acknowledged": produce(int(count)), "seconds": time.monotonic() - began}
    print(json.dumps(done | {"client": f"{client} {version(client)}"}))
