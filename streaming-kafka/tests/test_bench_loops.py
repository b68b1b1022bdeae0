"""The bare loops of the benchmark do on a real broker what they are said to do: else the comparison says nothing."""

import contextlib
import json
import uuid
from collections.abc import Callable

import pytest
from benchmarks import baselines
from benchmarks.programs import kafka_drain, kafka_produce
from campus.events import ORDER_PLACED, order_placed, parse
from campus.orders import Order, drawn
from kafka import KafkaConsumer, TopicPartition

COUNT = 700


@pytest.fixture
def new_topic(node) -> Callable[[], str]:
    """Make topics of this test's own."""
    node.start()

    def make() -> str:
        name = f"loops-{uuid.uuid4().hex}"
        with node.admin() as admin:
            admin.create_topics({name: {"num_partitions": 6, "replication_factor": 1}}, wait_for_metadata=True)
        return name

    return make


def loop(name: str, node, count: int, *words: str) -> dict:
    """Run a loop as the benchmark does, and return what it printed."""
    (line,) = baselines.output_of(name, "streaming-kafka", [node.bootstrap, str(count), *words])
    return line


def drain(node, kind: str, count: int, source: str, target: str, since: int = 0) -> dict:
    return loop(kind, node, count, str(since), source, target)


def records(node, topic: str) -> list:
    """Return every committed record of a topic."""
    partitions = [TopicPartition(topic, n) for n in range(6)]
    options = {"isolation_level": "read_committed", "auto_offset_reset": "earliest", "enable_auto_commit": False}
    with contextlib.closing(KafkaConsumer(bootstrap_servers=node.bootstrap, **options)) as consumer:
        consumer.assign(partitions)
        ends, found = consumer.end_offsets(partitions), []
        while any(consumer.position(partition) < ends[partition] for partition in partitions):
            found += [r for batch in consumer.poll(timeout_ms=200, max_records=5000).values() for r in batch]
    return found


@pytest.mark.parametrize("client", kafka_produce.CLIENTS)
def test_a_producing_loop_counts_what_is_in_the_log(node, new_topic, client):
    topic = new_topic()
    told = loop(client, node, COUNT, topic)
    assert (told["orders"], told["acknowledged"]) == (COUNT, COUNT)
    found = records(node, topic)
    assert len(found) == kafka_produce.WARM_UP + COUNT
    assert {r.partition for r in found} == set(range(6))


def test_its_events_are_like_a_services():
    user_id, items = next(drawn(1, 1))
    order = Order.place(user_id=user_id, items=items, request_id=str(uuid.uuid4()))
    ours, (key, theirs) = order_placed(order).encode(), kafka_produce.envelope(1)
    assert parse(theirs, ORDER_PLACED).order_id == key.decode()
    assert json.loads(theirs).keys() == json.loads(ours).keys()
    assert len(theirs) == pytest.approx(len(ours), rel=0.02)


@pytest.mark.parametrize("kind", ["commit", "transaction"])
def test_a_draining_loop_passes_everything_on_and_commits(node, new_topic, kind):
    source, target = new_topic(), new_topic()
    loop("confluent-kafka", node, COUNT, source)
    count = kafka_produce.WARM_UP + COUNT
    assert drain(node, kind, count, source, target)["events"] == count
    assert [r.key for r in records(node, target)].count(b"warm") == 1
    assert len(records(node, target)) == 1 + count
    assert sum(offset for p, offset in node.offsets(kafka_drain.GROUP).items() if p.topic == source) == count


def test_a_reading_loop_reads_from_when_it_is_told(node, new_topic):
    source = new_topic()
    loop("kafka-python", node, COUNT, source)
    since = max(record.timestamp for record in records(node, source)) + 1
    loop("kafka-python", node, COUNT, source)
    count = kafka_produce.WARM_UP + COUNT
    assert drain(node, "read", count, source, source, since)["events"] == count
    assert drain(node, "read", 2 * count, source, source)["events"] == 2 * count
