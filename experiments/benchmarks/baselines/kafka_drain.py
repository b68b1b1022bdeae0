"""Floors for working off a log, with kafka-python and nothing else: no rules, no database.

Usage: python -m benchmarks.baselines.kafka_drain BOOTSTRAP read|commit|transaction COUNT OFFSETS [TARGET]
`read` polls and decodes. `commit` also encodes, produces to TARGET, waits until that is acknowledged, and commits the
offsets. `transaction` does so in a Kafka transaction. OFFSETS is JSON: {topic: {partition: where it begins}}.
Prints {"events": …, "seconds": …}; the clock runs from the first batch on, until COUNT events are worked off.
"""

import json
import sys
import time
from typing import Any

from campus import gunicorn_conf, jsons
from campus.messages import partition_of
from kafka import KafkaConsumer, KafkaProducer, TopicPartition
from kafka.structs import OffsetAndMetadata

# As many as the services take at once: analytics, and inventory.
BATCHES = {"read": 2000, "commit": 500, "transaction": 500}
GROUP = "bench"

Found = dict[TopicPartition, list[Any]]


class Floor:
    """Works off what it polls, in one of the three ways."""

    def __init__(self, bootstrap: str, kind: str, begins: dict[TopicPartition, int], target: str) -> None:
        self._kind, self._target = kind, target
        isolation = {"read": "read_committed"}.get(kind, "read_uncommitted")
        self._consumer = KafkaConsumer(
            bootstrap_servers=bootstrap, group_id=GROUP, enable_auto_commit=False, isolation_level=isolation
        )
        self._consumer.assign(list(begins))
        for partition, offset in begins.items():
            self._consumer.seek(partition, offset)
        if kind == "read":
            return
        name = {"transactional_id": GROUP} if kind == "transaction" else {}
        self._producer = KafkaProducer(bootstrap_servers=bootstrap, retry_backoff_ms=5, **name)
        if name:
            self._producer.init_transactions()
        self._publish([(b"warm", b"up")], {p: OffsetAndMetadata(offset, "", -1) for p, offset in begins.items()})

    def work_off(self, count: int) -> dict[str, float]:
        """Work off so many events; return how many it was, and how long it took."""
        began, done = 0.0, 0
        while done < count:
            found = self._consumer.poll(timeout_ms=200, max_records=BATCHES[self._kind])
            if found:
                began = began or time.monotonic()
                done += self._work(found)
        return {"events": done, "seconds": time.monotonic() - began}

    def _work(self, found: Found) -> int:
        events = [(record.key, jsons.loads(record.value)) for records in found.values() for record in records]
        if self._kind != "read":
            offsets = {p: OffsetAndMetadata(records[-1].offset + 1, "", -1) for p, records in found.items()}
            self._publish([(key, jsons.dumps(event)) for key, event in events], offsets)
        return len(events)

    def _publish(self, events: list[tuple[bytes, bytes]], offsets: dict[TopicPartition, OffsetAndMetadata]) -> None:
        in_transaction = self._kind == "transaction"
        if in_transaction:
            self._producer.begin_transaction()
        count = len(self._producer.partitions_for(self._target))
        places = [partition_of(key, count) for key, _ in events]
        sent = [self._producer.send(self._target, b, k, partition=p) for (k, b), p in zip(events, places, strict=True)]
        if in_transaction:
            self._producer.send_offsets_to_transaction(offsets, self._consumer.group_metadata())
            self._producer.commit_transaction()
        else:
            self._producer.flush()
            self._consumer.commit(offsets)
        assert all(future.succeeded() for future in sent)


def main(bootstrap: str, kind: str, count: str, offsets: str, target: str = "") -> None:
    """Work off `count` events and print how long it took."""
    gunicorn_conf.take_core()  # on the same core and with the same priority as the service's worker
    told = {topic: numbers.items() for topic, numbers in json.loads(offsets).items()}
    begins = {TopicPartition(topic, int(n)): offset for topic, numbers in told.items() for n, offset in numbers}
    print(json.dumps(Floor(bootstrap, kind, begins, target).work_off(int(count))))


if __name__ == "__main__":
    main(*sys.argv[1:])
