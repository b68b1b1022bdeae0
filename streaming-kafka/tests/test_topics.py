"""The topics: made once, by whoever comes first, and refused when they have too few partitions."""

import contextlib
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from broker import topics
from kafka import KafkaAdminClient
from testing import Service, wait_until

PART = Path(__file__).resolve().parents[1]


def remove(admin: KafkaAdminClient, *names: str) -> None:
    """Delete topics, and wait until they are gone."""
    admin.delete_topics([name for name in names if name in admin.list_topics()])
    wait_until(lambda: not set(names) & set(admin.list_topics()))


@pytest.fixture
def admin(node):
    node.start()
    with contextlib.closing(KafkaAdminClient(bootstrap_servers=node.bootstrap)) as client:
        yield client
        topics.ensure(client)


def shapes(admin: KafkaAdminClient) -> dict[str, int]:
    return {topic["name"]: len(topic["partitions"]) for topic in admin.describe_topics(list(topics.PARTITIONS))}


def test_the_topics_are_made_once_by_whoever_comes_first(admin, node):
    remove(admin, *topics.PARTITIONS)

    def ensure(_: int) -> None:
        with contextlib.closing(KafkaAdminClient(bootstrap_servers=node.bootstrap)) as client:
            topics.ensure(client)

    with ThreadPoolExecutor(4) as pool:
        list(pool.map(ensure, range(4)))
    assert shapes(admin) == topics.PARTITIONS
    topics.ensure(admin)
    assert shapes(admin) == topics.PARTITIONS


def test_more_partitions_than_the_lab_makes_do_no_harm(admin):
    remove(admin, *topics.PARTITIONS)
    topics.ensure(admin)
    admin.create_partitions({topics.ORDERS: 12})
    wait_until(lambda: shapes(admin)[topics.ORDERS] == 12)
    topics.ensure(admin)
    assert shapes(admin) == topics.PARTITIONS | {topics.ORDERS: 12}
    remove(admin, topics.ORDERS)
    topics.ensure(admin)


def test_a_service_says_when_a_topic_has_too_few_partitions_and_works_when_it_is_mended(admin, node, tmp_path):
    remove(admin, topics.ORDERS)
    admin.create_topics({topics.ORDERS: {"num_partitions": 3, "replication_factor": 1}}, wait_for_metadata=True)
    why = "WrongPartitions: the topic order-events has 3 partitions and needs 6: kafka-topics.sh"
    service = Service(PART, "inventory", tmp_path, package="inventory_consumer", KAFKA_BOOTSTRAP=node.bootstrap)
    service.start()
    try:
        wait_until(lambda: why in service.log())
        answer = service.call("GET", "/ready")
        assert answer.status == 503
        assert why in answer.json()["checks"][topics.ORDERS]
        admin.create_partitions({topics.ORDERS: 6})
        wait_until(service.ready, alive=service)
    finally:
        service.kill()
