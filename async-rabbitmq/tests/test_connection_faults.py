"""What goes wrong around a connection: a broker that stands still, odd headers, a changed topology, two consumers."""

import socket
import struct
import threading
from collections.abc import Callable, Iterator

import pika.data
import pytest
from broker import connection, topology
from broker import consumer as consumer_module
from broker.consumer import Consumer
from broker.publisher import Outgoing, Publisher
from pika.adapters.utils import selector_ioloop_adapter
from test_connection import QUEUE, bodies, fails, letter, publish, take, take_and_ack, works
from testing import free_port, wait_until

IN_MILLISECONDS = b"T" + struct.pack(">Q", 1_772_000_000_000)  # AMQP's times are in seconds: this is the year 58121
SILENT = "RabbitMQ has not answered for"


class Raw(bytes):
    """Bytes that go into a header as they are."""


@pytest.fixture
def raw_headers(monkeypatch) -> None:
    """Let pika send headers that it cannot read."""
    usual = pika.data.encode_value

    def encode(pieces: list, value: object) -> int:
        if not isinstance(value, Raw):
            return usual(pieces, value)
        pieces.append(bytes(value))
        return len(value)

    monkeypatch.setattr(pika.data, "encode_value", encode)


@pytest.fixture
def start(broker) -> Iterator[Callable]:
    """A function that starts a publisher or a consumer; it is stopped at the end."""
    started = []

    def start_one(kind: type, *more: str, url: str = broker.url, **options):
        started.append(kind(url, "test", *more, **options))
        started[-1].start()
        return started[-1]

    yield start_one
    for one in started:
        one.stop()


def test_a_broker_that_stands_still_is_noticed_and_nothing_piles_up(broker, start):
    publisher, consumer = start(Publisher), start(Consumer, QUEUE)
    wait_until(lambda: works(publisher.check) and works(consumer.check))
    with broker.frozen():
        for _ in range(3):
            assert publisher.publish([letter("x")], timeout=0.1) == ["not confirmed in time"]
        wait_until(lambda: fails(publisher.check, SILENT) and fails(consumer.check, SILENT))
        wait_until(lambda: not publisher._waiting and not publisher._handed)
    wait_until(lambda: works(publisher.check) and works(consumer.check))
    assert publish(publisher, letter("after")) == [None]
    assert publisher._returned == {}


def test_what_comes_back_after_nobody_waits_for_it_is_forgotten(broker, start):
    publisher = start(Publisher)
    wait_until(lambda: works(publisher.check))
    with broker.frozen():
        publisher.publish([letter("x", key="nowhere")], timeout=0.1)
        wait_until(lambda: not publisher._waiting)
    assert publish(publisher, letter("after")) == [None]
    assert publisher._returned == {}


@pytest.mark.promise("limits")
def test_a_name_that_is_not_resolved_in_time_is_no_wait_without_end(start, monkeypatch):
    forever = threading.Event()
    monkeypatch.setattr(connection, "OPEN_SECONDS", 0.3)
    monkeypatch.setattr(selector_ioloop_adapter.socket, "getaddrinfo", lambda *_, **__: forever.wait())
    publisher = start(Publisher)
    try:
        wait_until(lambda: fails(publisher.check, "no connection within"))
        publisher.stop()
        assert not publisher._connection._thread.is_alive()
    finally:
        forever.set()


@pytest.mark.promise("limits")
def test_a_server_that_accepts_and_says_nothing_is_given_up(start, monkeypatch):
    monkeypatch.setattr(connection, "OPEN_SECONDS", 0.3)
    with socket.create_server(("127.0.0.1", 0)) as server:
        publisher = start(Publisher, url=f"amqp://guest:guest@127.0.0.1:{server.getsockname()[1]}/%2f")
        wait_until(lambda: fails(publisher.check, "no connection within"))


def test_of_several_nodes_each_is_tried_until_one_answers(broker, start):
    nobody = [f"amqp://guest:guest@127.0.0.1:{free_port()}/%2f" for _ in range(2)]
    publisher = start(Publisher, url=f"{nobody[0]},{broker.url}, {nobody[1]}")
    assert publish(publisher, letter("x")) == [None]
    broker.close_connections()
    assert publish(publisher, letter("y")) == [None]


@pytest.mark.parametrize("nodes", [1, 2])
def test_a_channel_that_refuses_a_message_is_left_where_there_are_other_nodes(broker, start, nodes):
    arguments = {"x-max-length": 1, "x-overflow": "reject-publish"}  # as soon as it holds one, it refuses the next
    with broker.channel() as channel:
        channel.queue_declare("full", arguments=arguments)
        publisher = start(Publisher, url=",".join([broker.url] * nodes))
        wait_until(lambda: works(publisher.check))
        first, message = publisher._channel, Outgoing("", "full", b"x", "m1")
        assert publisher.publish([message], timeout=10) == [None]
        assert publisher.publish([message], timeout=10) == ["RabbitMQ refused it (nack)"]
        if nodes > 1:
            wait_until(lambda: publisher._channel not in (None, first), what="it has a new channel")
        channel.queue_purge("full")
        wait_until(lambda: works(publisher.check))
        assert publisher.publish([message], timeout=10) == [None]
        assert (publisher._channel is first) == (nodes == 1)
        channel.queue_delete("full")


def test_a_node_that_stands_still_is_left_where_there_are_others(broker, start, monkeypatch):
    monkeypatch.setattr(connection, "ANSWER_SECONDS", 2.0)
    publisher = start(Publisher, url=f"{broker.url},{broker.url}")
    wait_until(lambda: works(publisher.check))
    with broker.frozen():
        silent = publisher._connection._connection
        wait_until(lambda: fails(publisher.check, "RabbitMQ has not answered for"))
        wait_until(lambda: publisher._connection._connection is not silent)
    assert publish(publisher, letter("after")) == [None]


@pytest.mark.parametrize(
    "odd", [IN_MILLISECONDS, b"A" + struct.pack(">I", len(IN_MILLISECONDS)) + IN_MILLISECONDS], ids=["time", "list"]
)
def test_a_header_that_pika_cannot_read_is_left_out_and_the_connection_stays(broker, start, raw_headers, odd):
    consumer = start(Consumer, QUEUE)
    wait_until(lambda: works(consumer.check))
    connection = consumer._connection._connection
    broker.put(QUEUE, b"1", headers={"sent": Raw(odd), "x-history": "[]"})
    broker.put(QUEUE, b"2", headers={"x-history": "[]"})
    taken = take(consumer, 2)
    assert bodies(taken) == ["1", "2"]
    assert [delivery.headers for delivery in taken] == [{}, {"x-history": "[]"}]
    assert consumer._connection._connection is connection


def exists(broker, queue: str) -> bool:
    with broker.channel() as channel:
        try:
            channel.queue_declare(queue, passive=True)
        except pika.exceptions.ChannelClosedByBroker:
            return False
    return True


@pytest.mark.parametrize("queue", ["order-placed.dlq", "order-status.retry-4s"])
def test_a_queue_that_is_deleted_is_declared_again(broker, start, queue):
    publisher = start(Publisher)
    wait_until(lambda: works(publisher.check))
    with broker.channel() as channel:
        channel.queue_delete(queue)
    wait_until(lambda: exists(broker, queue))
    assert publish(publisher, Outgoing("", queue, b"x", "x")) == [None]


def test_while_all_is_there_the_connection_stays_and_nothing_is_declared(broker, start, monkeypatch):
    """A queue that is declared while RabbitMQ deletes it may have consumers that hear of it no more."""
    publisher = start(Publisher)
    wait_until(lambda: works(publisher.check))
    connection, declared, looked, look = publisher._connection._connection, [], [], topology.look
    monkeypatch.setattr(topology, "declare", declared.append)
    monkeypatch.setattr(topology, "look", lambda channel: looked.append(channel) or look(channel))
    wait_until(lambda: len(looked) > 2)
    assert publisher._connection._connection is connection
    assert declared == []


def test_a_binding_that_is_deleted_is_there_again(broker, start):
    publisher = start(Publisher)
    with broker.channel() as channel:
        channel.queue_unbind("order-status", "orders", "inventory.failed")
    wait_until(lambda: publish(publisher, Outgoing("orders", "inventory.failed", b"x", "x")) == [None])
    broker.take("order-status")


def test_a_queue_of_another_shape_is_one_sentence_and_a_slow_retry(broker, start, caplog, monkeypatch):
    monkeypatch.setattr(connection, "MAX_BACKOFF_REFUSED", 1.0)
    with broker.channel() as channel:
        channel.queue_delete(QUEUE)
        channel.queue_declare(QUEUE, durable=True)
    try:
        consumer = start(Consumer, QUEUE)
        wait_until(lambda: consumer._connection._pause == connection.MAX_BACKOFF_REFUSED)
        assert fails(consumer.check, "It exists with other arguments: delete it, or run ./lab up async-rabbitmq")
        assert fails(consumer.check, "'order-placed'")
        assert [record.message for record in caplog.records].count(f"test consumer: {consumer._connection._why}") == 1
    finally:
        with broker.channel() as channel:
            channel.queue_delete(QUEUE)
    wait_until(lambda: works(consumer.check))


def test_only_the_message_at_work_is_blamed_for_a_lost_connection(start):
    publisher, consumer = start(Publisher), start(Consumer, QUEUE)
    publish(publisher, *(letter(f"{n}") for n in range(5)))
    take(consumer, 5)
    consumer.drop()
    for _ in range(3):
        take(consumer, 1)
        consumer.drop()
    again = take_and_ack(consumer, 5)
    assert sorted(bodies(again)) == ["0", "1", "2", "3", "4"]
    assert sum(delivery.returns for delivery in again) == 5 + 3  # the first loss hit all, and each other only one
    publish(publisher, letter("new"), letter("newer"))
    assert bodies(take(consumer, 2)) == ["new", "newer"]


def test_what_is_held_alone_does_not_hold_up_the_others_for_ever(start):
    publisher, consumer = start(Publisher), start(Consumer, QUEUE)
    publish(publisher, *(letter(f"{n}") for n in range(3)))
    take(consumer, 3)
    consumer.drop()
    (held,) = take(consumer, 1)
    consumer.fetch_many()
    assert sorted(bodies([held, *take(consumer, 2)])) == ["0", "1", "2"]  # what comes again may come in another order
    assert consumer.holds(held)


def test_a_second_consumer_stands_by_and_takes_over(start):
    publisher, first = start(Publisher), start(Consumer, QUEUE, alone=True)
    wait_until(lambda: works(first.check))
    second = start(Consumer, QUEUE, alone=True)
    wait_until(lambda: second._other_since is not None)
    assert works(second.check)
    publish(publisher, letter("1"))
    assert bodies(take(first, 1)) == ["1"]
    assert second.take(9, 0) == []
    first.stop()
    assert bodies(take(second, 1)) == ["1"]


def test_a_second_consumer_that_may_not_stand_by_refuses_after_a_while(start, monkeypatch):
    monkeypatch.setattr(consumer_module, "OLD_ONE_SECONDS", 0.5)
    first, refused = start(Consumer, QUEUE, alone=True), []
    wait_until(lambda: works(first.check))
    second = start(Consumer, QUEUE, alone=True, refuse=refused.append)
    wait_until(lambda: refused)
    assert refused[0].startswith("another consumer has the queue order-placed, and SQLite is for one process")
    assert fails(second.check, "RESOURCE_LOCKED") or not works(second.check)
    first.stop()
    wait_until(lambda: works(second.check))
