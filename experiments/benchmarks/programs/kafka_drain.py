"""Bare baselines for draining a log, with kafka-python alone: no rules, no database.

Usage: python -m benchmarks.programs.kafka_drain read|commit|transaction BOOTSTRAP COUNT SINCE TOPICS TARGET
`read` polls and decodes. `commit` also encodes, produces to TARGET, waits until that is acknowledged, and commits the
offsets. `transaction` does so in a Kafka transaction. It begins at the first record not older than SINCE, in Unix ms.
Prints {"events": …, "seconds": …}; the clock runs from the first batch on, until COUNT events are done.
"""

import json
import sys
import time

from campus import gunicorn_conf, jsons
from campus.events import partition_of
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

BATCHES = {"read": 2000, "commit": 500, "transaction": 500}  # as many as analytics, and inventory, take at once
GROUP = "bench"


def drain(kind: str, bootstrap: str, count: int, since: int, topics: list[str], target: str) -> dict[str, float]:
    """Drain so many events; return how many it was, and how long it took."""
    isolation = "read_committed" if kind == "read" else "read_uncommitted"
    options = {"group_id": GROUP, "enable_auto_commit": False, "isolation_level": isolation}
    consumer = KafkaConsumer(bootstrap_servers=bootstrap, **options)
    partitions = [TopicPartition(topic, n) for topic in topics for n in consumer.partitions_for_topic(topic)]
    consumer.assign(partitions)
    for partition, first in consumer.offsets_for_times(dict.fromkeys(partitions, since)).items():
        consumer.seek(partition, first.offset) if first else consumer.seek_to_end(partition)
    publish = None if kind == "read" else publisher(consumer, kind, bootstrap, target)
    if publish:
        publish([(b"warm", b"up")], {p: consumer.position(p) for p in partitions})
    began, done = 0.0, 0
    while done < count:
        found = consumer.poll(timeout_ms=200, max_records=BATCHES[kind])
        began = began or (time.monotonic() if found else 0.0)
        events = [(record.key, jsons.loads(record.value)) for records in found.values() for record in records]
        if publish and events:
            bodies = [(key, jsons.dumps(event)) for key, event in events]
            publish(bodies, {p: records[-1].offset + 1 for p, records in found.items()})
        done += len(events)
    return {"events": done, "seconds": time.monotonic() - began}


def publisher(consumer: KafkaConsumer, kind: str, bootstrap: str, target: str):
    """Return what publishes `[(key, body), …]` and commits the next offsets of the partitions."""
    in_transaction = kind == "transaction"
    name = {"transactional_id": GROUP} if in_transaction else {}
    producer = KafkaProducer(bootstrap_servers=bootstrap, retry_backoff_ms=5, **name)
    if in_transaction:
        producer.init_transactions()
    count = len(producer.partitions_for(target))

    def publish(events: list[tuple[bytes, bytes]], next_offsets: dict[TopicPartition, int]) -> None:
        offsets = {p: OffsetAndMetadata(offset, "", -1) for p, offset in next_offsets.items()}
        if in_transaction:
            producer.begin_transaction()
        sent = [producer.send(target, body, key, partition=partition_of(key, count)) for key, body in events]
        if in_transaction:
            producer.send_offsets_to_transaction(offsets, consumer.group_metadata())
            producer.commit_transaction()
        else:
            producer.flush()
            consumer.commit(offsets)
        assert all(future.succeeded() for future in sent)

    return publish


if __name__ == "__main__":
    gunicorn_conf.take_core()  # on the same core and with the same priority as the service's worker
    kind, bootstrap, count, since, topics, target = sys.argv[1:]
    print(json.dumps(drain(kind, bootstrap, int(count), int(since), topics.split(","), target)))
