"""Each workaround: that kafka-python still needs it, and that it works. When one of these fails, look at the other."""

import contextlib
import functools
import gc
import logging
import os
import signal
import socket
import threading
import time
from collections.abc import Callable
from types import SimpleNamespace

import psutil
import pytest
from broker import clients, kafka_workarounds, topics
from broker.kafka_workarounds import WAIT_SECONDS
from campus.ids import new_order_id
from confluent_kafka import Producer as OtherProducer
from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer, TopicPartition
from kafka.admin import AbortTransactionSpec, ProducerState
from kafka.errors import CorruptRecordError, KafkaError, KafkaTimeoutError, UnsupportedCodecError
from kafka.net.compat import KafkaNetClient
from kafka.producer.transaction_manager import TransactionState
from kafka.record.default_records import DefaultRecordBatch
from kafka.structs import ConsumerGroupMetadata, MemberState, OffsetAndMetadata
from testing import MARGIN, free_port, wait_until

FIRST = TopicPartition(topics.ORDERS, 0)
GROUP = "workarounds"


@pytest.fixture
def made(node):
    """What the test has made: it is closed at its end, whatever became of it."""
    node.start()
    with node.admin():  # the topics are there
        things = []
    yield things
    for thing in things:
        clients.close(thing)


class Frozen:
    """While it is entered the node's processes stand still; its port accepts."""

    def __init__(self, node) -> None:
        self._node = node

    def __enter__(self) -> None:
        self._node.signal(signal.SIGSTOP)

    def __exit__(self, *_) -> None:
        self._node.start()


def outlasts(call, seconds: float) -> threading.Thread | None:
    """Call this in a thread of its own; return the thread if it has not ended after so many seconds."""

    def quietly() -> None:
        with contextlib.suppress(Exception):
            call()

    thread = threading.Thread(target=quietly, daemon=True)
    thread.start()
    thread.join(seconds)
    return thread if thread.is_alive() else None


def in_time(call) -> None:
    """Call this: it must raise, and not later than the limit of all waits."""
    began = time.monotonic()
    with pytest.raises((KafkaError, OSError)):
        call()
    assert time.monotonic() - began < WAIT_SECONDS + 1 + MARGIN


LONG = WAIT_SECONDS + 3


def test_a_question_to_a_frozen_broker_has_an_end(node, made):
    with_limit = clients.connect(KafkaAdminClient, node.bootstrap)
    without = KafkaAdminClient(bootstrap_servers=node.bootstrap)
    made += [with_limit, without]
    with Frozen(node):
        late = outlasts(lambda: without.describe_groups([GROUP]), LONG)
        assert late, "an admin client's calls have a limit now"
        in_time(lambda: with_limit.describe_groups([GROUP]))
    late.join(60)


def test_the_partitions_of_an_unknown_topic_are_not_waited_for_without_a_limit(node, made):
    with_limit = clients.connect(KafkaConsumer, node.bootstrap)
    without = KafkaConsumer(bootstrap_servers=node.bootstrap)
    made += [with_limit, without]
    with Frozen(node):
        late = outlasts(lambda: without.partitions_for_topic("nothing"), LONG)
        assert late, "partitions_for_topic has a limit now"
        in_time(lambda: with_limit.partitions_for_topic("nothing"))
    late.join(60)


def at_last(make):
    """Return what this makes, None when it cannot: a node that has just started needs its time on a busy machine."""
    with contextlib.suppress(KafkaError, OSError):
        return make()


def begun(node, name: str) -> KafkaProducer:
    """Return a producer with a transaction in which something was sent."""
    producer = wait_until(lambda: at_last(lambda: clients.writer(node.bootstrap, name)), 60)
    producer.begin_transaction()
    producer.send(topics.ORDERS, b"x", partition=0).get(10)
    return producer


def joins(consumer: KafkaConsumer) -> bool:
    """Whether it becomes a member of its group though the answers come between its polls."""
    assert consumer._coordinator.ensure_coordinator_ready(timeout_ms=10_000)
    for _ in range(20):
        consumer.poll(timeout_ms=0)
        if consumer.group_metadata().state == MemberState.STABLE:
            return True
        time.sleep(0.2)
    return False


def test_an_answer_to_a_join_that_comes_between_two_polls_is_taken(node, made):
    node.start()
    group = f"late-{new_order_id()}"
    without = KafkaConsumer(topics.ORDERS, bootstrap_servers=node.bootstrap, group_id=group)
    made.append(without)
    assert not joins(without), "a late answer is taken now"
    without.close()
    made.append(clients.reader(node.bootstrap, group, [topics.ORDERS]))
    assert joins(made[-1])


def goes_on_after_a_second_end(node, begin: Callable, commit: Callable) -> bool:
    """Whether a transaction goes on although Kafka writes the end of the one before once more.

    A test cluster did so, of which two of three nodes were killed; here the test does it, as a coordinator would.
    """
    producer = clients.writer(node.bootstrap, new_order_id())
    with contextlib.closing(producer), node.admin() as admin:

        def state() -> ProducerState:
            [found] = admin.describe_producers([FIRST]).values()
            mine = producer._transaction_manager.producer_id_and_epoch.producer_id
            return next(state for state in found.active_producers if state.producer_id == mine)

        begin(producer)
        producer.send(topics.ORDERS, b"x", partition=0).get(10)
        commit(producer)
        wait_until(lambda: state().current_transaction_start_offset < 0, what="the first one is at its end")
        first = state()
        begin(producer)
        producer.send(topics.ORDERS, b"x", partition=0).get(10)
        again = AbortTransactionSpec(FIRST, first.producer_id, first.producer_epoch, first.coordinator_epoch)
        request = admin._abort_transaction_request(again)
        request.markers[0].transaction_result = True  # a commit, as the first time
        admin._manager.run(functools.partial(admin._manager.send, request, node_id=1))
        return state().current_transaction_start_offset >= 0


def test_the_end_of_a_transaction_that_is_written_again_does_not_end_the_next_one(node, made):
    plainly = KafkaProducer.begin_transaction, KafkaProducer.commit_transaction
    assert not goes_on_after_a_second_end(node, *plainly), "Kafka, or the client, gives each transaction an epoch now"
    ours = kafka_workarounds.begin_transaction, kafka_workarounds.commit_transaction
    assert goes_on_after_a_second_end(node, *ours)


def test_a_producer_that_was_fenced_does_not_fence_back(node, made, monkeypatch):
    name = new_order_id()
    old = begun(node, name)
    made.append(old)
    transactions = old._transaction_manager
    made.append(clients.writer(node.bootstrap, name))
    with transactions._lock:  # fenced between its commit and its asking for the next epoch
        transactions._transition_to(TransactionState.COMMITTING_TRANSACTION)
        transactions._transition_to(TransactionState.READY)
    monkeypatch.setattr(transactions, "begin_commit", lambda: SimpleNamespace(wait=lambda **_: True))
    kafka_workarounds.commit_transaction(old)
    with pytest.raises(KafkaError, match="Fenced"):
        kafka_workarounds.begin_transaction(old)
    kafka_workarounds.begin_transaction(made[-1])
    made[-1].send(topics.ORDERS, b"x", partition=0).get(10)
    kafka_workarounds.commit_transaction(made[-1])


@pytest.mark.promise("limits")
def test_a_transaction_that_gets_no_answer_has_an_end(node, made):
    offsets = {FIRST: OffsetAndMetadata(0, "", -1)}, ConsumerGroupMetadata(group_id=GROUP)
    producers = [begun(node, name) for name in ("offsets", "commits", "offsets with limit", "commits with limit")]
    made += producers
    node.kill()
    late = [
        outlasts(lambda: producers[0].send_offsets_to_transaction(*offsets), LONG),
        outlasts(producers[1].commit_transaction, 1),
    ]
    assert all(late), "they have a limit now"
    in_time(lambda: kafka_workarounds.send_offsets(producers[2], *offsets))
    in_time(lambda: kafka_workarounds.commit_transaction(producers[3]))


def of_kafka() -> list[str]:
    """Return the threads of clients in this process."""
    return sorted(t.name for t in threading.enumerate() if t.name.startswith("kafka"))


def open_files() -> int:
    """Return how many there are; a socket that could not connect is closed when it is collected."""
    gc.collect()
    return psutil.Process().num_fds()


@pytest.mark.parametrize("kind", [KafkaAdminClient, KafkaConsumer, KafkaProducer])
def test_a_client_that_cannot_be_made_leaves_nothing(kind, caplog):
    caplog.set_level(logging.CRITICAL, "kafka")  # records that pytest keeps would keep the clients, too
    refuses = {"bootstrap_servers": f"127.0.0.1:{free_port()}", "bootstrap_timeout_ms": 200}
    threads, files = of_kafka(), open_files()
    for _ in range(3):
        with pytest.raises(KafkaError):
            kafka_workarounds.build(kind, **refuses)
    assert of_kafka() == threads
    assert open_files() <= files
    left = []
    with pytest.raises(KafkaError):
        kind(kafka_client=lambda **how: left.append(KafkaNetClient(**how)) or left[-1], **refuses)
    assert not left[0]._net._closed, "a failed constructor cleans up now"
    left[0].close()


def test_closing_ends_every_thread_also_when_the_broker_is_frozen(node, made):
    threads = of_kafka()
    producer = begun(node, "closed")
    consumer = clients.reader(node.bootstrap, GROUP, [topics.ORDERS], name="one")
    wait_until(lambda: clients.poll(consumer, 1) or consumer.assignment())
    with Frozen(node):
        producer.send(topics.ORDERS, b"it never comes", partition=0)
        for client in (producer, consumer):
            began = time.monotonic()
            clients.close(client, leaves=True)
            assert time.monotonic() - began < WAIT_SECONDS + MARGIN
        wait_until(lambda: of_kafka() == threads)


def test_a_producer_that_holds_something_keeps_its_thread_when_it_is_closed(node, made):
    without = KafkaProducer(bootstrap_servers=node.bootstrap, delivery_timeout_ms=20_000, request_timeout_ms=5000)
    without.send(topics.ORDERS, b"it comes", partition=0).get(30)
    with Frozen(node):
        without.send(topics.ORDERS, b"it never comes", partition=0)
        with pytest.raises(KafkaTimeoutError):
            without.close(timeout=0.5)
        assert without._sender.is_alive(), "close ends the thread now"
    clients.close(without)
    assert not without._sender.is_alive()


def static(node, name: str) -> KafkaConsumer:
    """Return a static member that has its partitions."""
    consumer = clients.reader(node.bootstrap, GROUP, [topics.ORDERS], name=name)
    wait_until(lambda: clients.poll(consumer, 1) or consumer.group_metadata().state == MemberState.STABLE)
    return consumer


def test_a_static_member_leaves_when_it_is_told_to_and_only_then(node, made):
    clients.close(static(node, "leaves"), leaves=True)
    assert node.members(GROUP) == {}
    clients.close(static(node, "stays"))
    assert len(node.members(GROUP)) == 1
    static(node, "stays").close()
    assert len(node.members(GROUP)) == 1, "a static member leaves by itself now"
    node.evict(GROUP)


def test_a_member_whose_place_was_taken_is_told(node, made, monkeypatch):
    monkeypatch.setattr(clients, "SESSION_MS", 2000)
    first = static(node, "one")
    second = static(node, "one")
    made += [first, second]
    wait_until(lambda: kafka_workarounds.is_fenced(first))
    assert first.group_metadata().state == MemberState.STABLE, "it says so itself now"
    assert first.poll(timeout_ms=100) is not None, "it raises now"
    assert not kafka_workarounds.is_fenced(second)
    clients.close(second, leaves=True)


def test_a_batch_that_cannot_be_read_is_told_as_one_record(node, made):
    other = OtherProducer({"bootstrap.servers": node.bootstrap, "compression.type": "lz4", "linger.ms": 200})
    batch = []
    for n in range(20):
        body = f"from another program {n} " * 20
        other.produce(topics.ORDERS, value=body, partition=0, on_delivery=lambda _, sent: batch.append(sent.offset()))
    other.flush(10)
    after_it = node.put(topics.ORDERS, b"after it", partition=0)
    without, reads_on = (clients.connect(KafkaConsumer, node.bootstrap) for _ in range(2))
    made += [without, reads_on]
    kafka_workarounds.read_on(reads_on)
    for consumer in (without, reads_on):
        consumer.assign([FIRST])
        consumer.seek(FIRST, batch[0])
    with pytest.raises(UnsupportedCodecError):
        wait_until(lambda: without.poll(timeout_ms=200))
    found = []
    wait_until(lambda: found.extend(clients.poll(reads_on, 500).get(FIRST, [])) or len(found) == 2)
    unreadable, after = found
    assert (after.value, [after.offset]) == (b"after it", after_it)
    assert (unreadable.offset, type(unreadable.value)) == (batch[-1], kafka_workarounds.Unreadable)
    assert "20 records cannot be read: UnsupportedCodecError: Libraries for lz4" in unreadable.value.why


@pytest.mark.parametrize("wrong", ["checksum", "records"])
def test_a_corrupt_batch_is_told_as_one_record(node, made, monkeypatch, wrong):
    # The marker of an earlier test's transaction may still come in before it.
    (at,) = node.put(topics.ORDERS, b"corrupt", partition=0)
    after = node.put(topics.ORDERS, b"after it", partition=0)
    reader = clients.connect(KafkaConsumer, node.bootstrap)
    made.append(reader)
    kafka_workarounds.read_on(reader)
    reader.assign([FIRST])
    reader.seek(FIRST, at)

    def corrupt(self, *_):
        if self.base_offset == at and wrong == "records":
            raise CorruptRecordError("it was changed on the disk")
        return self.base_offset != at

    method = "validate_crc" if wrong == "checksum" else "_read_msg"
    real = getattr(DefaultRecordBatch, method)
    monkeypatch.setattr(
        DefaultRecordBatch, method, lambda self, *a: real(self, *a) if self.base_offset != at else corrupt(self)
    )
    found = []
    wait_until(lambda: found.extend(clients.poll(reader, 500).get(FIRST, [])) or len(found) == 2)
    assert [type(record.value) for record in found] == [kafka_workarounds.Unreadable, bytes]
    assert [record.offset for record in found] == [at, *after]


def test_what_was_fetched_of_a_paused_partition_is_not_forgotten(node, made):
    """It is seen in tests of pauses, too, now and then; here is what it comes from."""
    consumer = clients.connect(KafkaConsumer, node.bootstrap)
    made.append(consumer)
    consumer._fetcher._next_partition_records = rest = type("UsedUp", (), {"__bool__": lambda self: False})()
    kafka_workarounds.take_up_again(consumer)
    assert consumer._fetcher._next_partition_records is not rest
    assert consumer._fetcher._next_partition_records is None
    assert "_next_partition_records is None" in source(type(consumer._fetcher).fetched_records)


def source(function) -> str:
    import inspect

    return inspect.getsource(function)


def test_a_name_server_that_does_not_answer_is_not_asked_for_long():
    assert os.environ["RES_OPTIONS"] == "timeout:1 attempts:2"
    assert socket.getaddrinfo("localhost", 1)
