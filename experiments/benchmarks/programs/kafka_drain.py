"""Bare baselines for draining a log, with kafka-python alone: no rules, no database.

Usage: python -m benchmarks.programs.kafka_drain read|commit|transaction BOOTSTRAP COUNT SINCE TOPICS TARGET
`read` polls and decodes. `commit` also encodes, produces to TARGET, waits until that is acknowledged, and commits the
offsets. `transaction` does so in a Kafka transaction. It begins at the first record not older than SINCE, in Unix ms.
Prints {"events": …, "seconds": …}; the clock runs from the first batch on, until COUNT events are done.
"""

import json
import sys
import time
from typing import Any

from campus import gunicorn_conf, jsons
from campus.events import partition_of
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

BATCHES = {"read": 2000, "commit": 500, "transaction": 500}  # as many as analytics, and inventory, take at once
GROUP = "bench"


class Drain:
    """Works on what it polls, in one of the three ways."""

    def __init__(self, kind: str, bootstrap: str, since: int, topics: list[str], target: str) -> None:
        self._kind, self._target = kind, target
        options = {"group_id": GROUP, "enable_auto_commit": False}
        isolation = "read_committed" if kind == "read" else "read_uncommitted"
        self._consumer = KafkaConsumer(bootstrap_servers=bootstrap, isolation_level=isolation, **options)
        partitions = [TopicPartition(topic, n) for topic in topics for n in self._consumer.partitions_for_topic(topic)]
        self._consumer.assign(partitions)
        for partition, first in self._consumer.offsets_for_times(dict.fromkeys(partitions, since)).items():
            self._consumer.seek(partition, first.offset) if first else self._consumer.seek_to_end(partition)
        if kind == "read":
            return
        name = {"transactional_id": GROUP} if kind == "transaction" else {}
        self._producer = KafkaProducer(bootstrap_servers=bootstrap, retry_backoff_ms=5, **name)
        if name:
            self._producer.init_transactions()
        self._publish([(b"warm", b"up")], {p: self._consumer.position(p) for p in partitions})

    def events(self, count: int) -> dict[str, float]:
        """Drain so many events; return how many it was, and how long it took."""
        began, done = 0.0, 0
        while done < count:
            found = self._consumer.poll(timeout_ms=200, max_records=BATCHES[self._kind])
            if found:
                began = began or time.monotonic()
                done += self._work(found)
        return {"events": done, "seconds": time.monotonic() - began}

    def _work(self, found: dict[TopicPartition, list[Any]]) -> int:
        events = [(record.key, jsons.loads(record.value)) for records in found.values() for record in records]
        if self._kind != "read":
            bodies = [(key, jsons.dumps(event)) for key, event in events]
            self._publish(bodies, {p: records[-1].offset + 1 for p, records in found.items()})
        return len(events)

    def _publish(self, events: list[tuple[bytes, bytes]], next_offsets: dict[TopicPartition, int]) -> None:
        offsets = {p: OffsetAndMetadata(offset, "", -1) for p, offset in next_offsets.items()}
        in_transaction, producer = self._kind == "transaction", self._producer
        if in_transaction:
            producer.begin_transaction()
        count = len(producer.partitions_for(self._target))
        sent = [producer.send(self._target, body, key, partition=partition_of(key, count)) for key, body in events]
        if in_transaction:
            producer.send_offsets_to_transaction(offsets, self._consumer.group_metadata())
            producer.commit_transaction()
        else:
            producer.flush()
            self._consumer.commit(offsets)
        assert all(future.succeeded() for future in sent)


if __name__ == "__main__":
    gunicorn_conf.take_core()  # on the same core and with the same priority as the service's worker
    kind, bootstrap, count, since, topics, target = sys.argv[1:]
    print(json.dumps(Drain(kind, bootstrap, int(since), topics.split(","), target).events(int(count))))
