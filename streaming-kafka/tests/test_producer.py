"""Acknowledged producing, on a real node that is killed and frozen: no wait without a limit, and nothing is left."""

import contextlib
import gc
import logging
import threading
import time
from collections.abc import Iterator
from signal import SIGSTOP

import psutil
import pytest
from broker import topics
from broker.producer import DELIVERY_SECONDS, BrokerDown, Producer
from campus.events import Event, partition_of
from campus.ids import new_order_id
from confluent_kafka import Producer as Librdkafka
from conftest import placed
from testing import MARGIN, wait_until


@pytest.fixture
def producer(node) -> Iterator[Producer]:
    node.start()
    made = Producer(node.bootstrap)
    connect(made)
    yield made
    node.start()
    made.stop()


def connect(producer: Producer) -> None:
    """Do rounds until something can be sent."""

    def works() -> bool:
        with contextlib.suppress(BrokerDown):
            producer.step()
            producer.check()
            return True
        return False

    wait_until(works)


def event() -> Event:
    return placed(new_order_id())


@pytest.mark.promise("c-accepted")
def test_what_is_acknowledged_is_in_the_log(producer, node):
    events = [event() for _ in range(20)]
    assert producer.publish(events) == [None] * 20
    assert len(node.read(topics.ORDERS, *(e.order_id for e in events))) == 20


def test_the_partition_of_a_key_is_that_of_librdkafka(producer, node):
    orders = [new_order_id() for _ in range(50)]
    producer.publish(map(placed, orders))
    other = Librdkafka({"bootstrap.servers": node.bootstrap, "partitioner": "consistent"})
    for order_id in orders:
        other.produce(topics.INVENTORY, b"", order_id)
    assert other.flush(10) == 0
    ours = {record.key: record.partition for record in node.read(topics.ORDERS, *orders)}
    theirs = {record.key: record.partition for record in node.read(topics.INVENTORY, *orders)}
    assert ours == theirs == {order.encode(): partition_of(order.encode(), 6) for order in orders}
    assert len(set(ours.values())) == 6


@pytest.mark.promise("limits")
def test_a_frozen_broker_leaves_requests_unsure_in_time_and_later_ones_refused(producer, node):
    node.signal(SIGSTOP)
    began = time.monotonic()
    outcomes: list[list] = []
    requests = [threading.Thread(target=lambda: outcomes.append(producer.publish([event()]))) for _ in range(4)]
    for request in requests:
        request.start()
    for request in requests:
        request.join(DELIVERY_SECONDS + MARGIN)
    assert time.monotonic() - began < DELIVERY_SECONDS + MARGIN
    assert [bool(outcome) for [outcome] in outcomes] == [True] * 4
    with pytest.raises(BrokerDown):
        producer.publish([event()])
    node.start()
    connect(producer)
    assert producer.publish([event()]) == [None]


def test_many_orders_end_in_time_too(producer, node):
    node.signal(SIGSTOP)
    began = time.monotonic()
    outcomes = producer.publish(event() for _ in range(20_000))
    assert time.monotonic() - began < 2 * DELIVERY_SECONDS + MARGIN  # the first that waits too long ends it
    assert any(outcomes)
    assert len(outcomes) < 20_000


def test_absence_leaves_no_threads_and_no_sockets(producer, node, caplog):
    caplog.set_level(logging.CRITICAL, "kafka")  # records that pytest keeps would keep the clients, too
    process = psutil.Process()

    def held() -> tuple[int, int]:
        gc.collect()  # the client's sockets are closed with it
        return process.num_threads(), process.num_fds()

    def tries() -> None:
        with contextlib.suppress(BrokerDown):
            producer.publish([event()])
        with contextlib.suppress(BrokerDown):
            producer.step()

    threads, sockets = held()
    node.kill()
    tries()
    wait_until(lambda: tries() or not producer._retired)
    for _ in range(5):
        tries()
    now = held()
    assert now[0] <= threads
    assert now[1] <= sockets
