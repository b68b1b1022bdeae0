"""A consumer's work on a real broker, round by round: batches, failures, dead letters, and who may commit."""

import json
from contextlib import suppress

import broker.transactional_consumer
import pytest
from broker import topics
from campus.database import DatabaseDown
from confluent_kafka import Producer
from conftest import placed
from kafka import TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaTimeoutError, UnknownMemberIdError
from testing import wait_until
from testing.fakes import ProcessKilled
from testing.invalid_events import INVALID_EVENTS

ORIGINS = [TopicPartition(topics.ORDERS, n) for n in range(6)]


@pytest.mark.promise("c-duplicates")
def test_a_batch_is_worked_off_and_told_and_its_offsets_are_committed(harness):
    orders = harness.place(20)
    before = sum(harness.node.offsets(harness.group)[tp] for tp in ORIGINS)
    harness.finish(*orders)
    assert sorted(order for batch in harness.batches for order in batch) == sorted(orders)
    assert sum(harness.node.offsets(harness.group)[tp] for tp in ORIGINS) == before + 20
    assert harness.counted("done") == 20


@pytest.mark.promise("INV-2")
def test_an_order_that_is_in_the_log_twice_has_one_verdict(harness):
    (order,) = harness.place()
    harness.node.put(topics.ORDERS, placed(order))
    harness.finish(order)
    harness.node.put(topics.ORDERS, placed(order))
    harness.step()
    assert harness.emitted(order) == [order]
    assert harness.counted("done") == 3


@pytest.mark.promise("c-duplicates", "LOG-1")
@pytest.mark.parametrize("point", ["before_commit", "after_commit", "after_publish"])
def test_a_crash_loses_nothing_and_doubles_nothing(harness, point):
    orders = harness.place(5, partition=0)
    harness.faults.configure({"crash_point": point})
    with pytest.raises(ProcessKilled):
        harness.step()
    assert harness.emitted(*orders) == (sorted(orders) if point == "after_publish" else [])
    harness.faults.reset()
    harness.consumer.stop()
    harness.finish(*orders, *harness.place(partition=0))


@pytest.mark.promise("retries")
def test_a_message_that_fails_is_tried_again_ever_later_while_the_others_go_on(harness, clock):
    (bad,) = harness.place(partition=0)
    after = harness.place(2, partition=0)
    harness.broken = {bad}
    harness.step()
    for seconds in (1, 2, 4, 8):
        tried = sum(bad in batch for batch in harness.batches)
        clock.now += seconds - 0.1
        harness.finish(*harness.place(2, partition=1))
        assert sum(bad in batch for batch in harness.batches) == tried
        assert harness.emitted(*after) == []
        clock.now += 0.1
        harness.step()
        assert sum(bad in batch for batch in harness.batches) > tried
    harness.finish(*after)
    (dead,) = harness.dead()
    headers = dict(dead.headers)
    assert headers["x-reason"] == f"failed 5 times, last: ValueError: {bad} is broken".encode()
    assert [failure["why"] for failure in json.loads(headers["x-history"])] == [f"ValueError: {bad} is broken"] * 5
    assert (dead.key.decode(), json.loads(dead.value)["order_id"]) == (bad, bad)
    assert (harness.counted("retried"), harness.counted("dead_lettered"), harness.counted("done")) == (4, 1, 10)


def test_a_message_that_fails_once_is_not_lost(harness, clock):
    (order,) = harness.place()
    harness.broken = {order}
    harness.step()
    harness.broken = set()
    clock.now += 1
    harness.finish(order)


def test_a_partition_that_waits_with_more_than_a_batch_is_taken_up_again(harness, clock, monkeypatch):
    monkeypatch.setattr(broker.transactional_consumer, "BATCH", 5)
    waits = harness.place(12, partition=0)
    harness.broken = {waits[0]}
    wait_until(lambda: [harness.consumer.step()] and harness.batches)
    harness.finish(*harness.place(12, partition=1))
    harness.broken = set()
    clock.now += 1
    harness.finish(*waits)


def test_a_failing_message_takes_none_of_its_batch_with_it(harness, clock):
    before, (bad,), after = harness.place(2, partition=0), harness.place(partition=0), harness.place(2, partition=0)
    harness.node.put(topics.ORDERS, b"poison", partition=0)
    harness.broken = {bad}
    harness.step()
    assert harness.emitted(bad, *before, *after) == sorted(before)
    assert harness.dead() == []  # the poison comes after it
    harness.broken = set()
    clock.now += 1
    harness.finish(bad, *before, *after)
    assert len(harness.dead()) == 1


@pytest.mark.promise("infrastructure")
def test_when_the_database_is_full_no_message_is_to_blame(harness):
    harness.finish(*harness.place())
    orders = harness.place(500)
    for _ in range(6):
        with harness.database.transaction() as tx:
            tx.execute("PRAGMA max_page_count = 1")  # as large as it is now; a new connection knows it no more
        with pytest.raises(DatabaseDown, match="full"):
            harness.step()
    harness.finish(*orders)
    assert (harness.counted("retried"), harness.dead()) == (0, [])


@pytest.mark.promise("infrastructure")
@pytest.mark.parametrize("fault", [DatabaseDown("away"), ConnectionResetError("reset"), OSError("no file is left")])
def test_a_fault_of_the_infrastructure_is_nobodys_try(harness, fault):
    orders = harness.place(5)

    def fail() -> None:
        raise fault

    harness.during = fail
    for _ in range(6):
        with pytest.raises(type(fault)):
            harness.step()
    harness.during = lambda: None
    harness.finish(*orders)
    assert (harness.counted("retried"), harness.dead()) == (0, [])


def test_the_tries_of_a_message_outlive_a_lost_connection(harness, clock):
    (bad,) = harness.place(partition=0)
    harness.broken = {bad}
    for seconds in (1, 2, 4, 8, 0):
        harness.step()
        harness.consumer._membership.let_go()
        clock.now += seconds
    assert len(harness.dead()) == 1


@pytest.mark.promise("progress")
def test_what_can_never_be_applied_is_dead_lettered_at_once_and_holds_up_nobody(harness):
    before = harness.place(2, partition=0)
    bad = harness.place(8, partition=0)
    after = harness.place(5, partition=0)
    harness.never = set(bad)
    harness.finish(*before, *after)
    assert sorted(record.key.decode() for record in harness.dead()) == sorted(bad)
    assert dict(harness.dead()[0].headers)["x-reason"] == f"IllegalTransition: {bad[0]} contradicts".encode()
    assert (harness.counted("retried"), harness.counted("dead_lettered")) == (0, 8)


@pytest.mark.parametrize("count", [60, pytest.param(400, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_a_backlog_is_worked_off_by_who_loses_its_connection_again_and_again(harness, count):
    orders = harness.place(count)
    harness.faults.configure({"failure_mode": "drop", "failure_rate": 0.2, "seed": 7})
    left = len(orders)
    while left:
        harness.step()
        left = len(orders) - len(harness.emitted(*orders))
    assert harness.emitted(*orders) == sorted(orders)
    assert (harness.counted("retried"), harness.dead()) == (0, [])


def test_what_cannot_be_decompressed_is_one_dead_letter(harness):
    (before,) = harness.place(partition=0)
    other = Producer({"bootstrap.servers": harness.node.bootstrap, "compression.type": "lz4", "linger.ms": 200})
    for _ in range(10):
        other.produce(topics.ORDERS, value="from another program " * 20, partition=0)
    other.flush(10)
    (after,) = harness.place(partition=0)
    harness.finish(before, after)
    (dead,) = harness.dead()
    assert dict(dead.headers)["x-reason"].startswith(b"a batch of 10 records cannot be read: UnsupportedCodecError")


FIFTH = TopicPartition(topics.ORDERS, 4)


def remove_before(node, offset: int) -> None:
    """Remove what the log holds before this offset, as its retention does."""
    with node.admin() as admin:
        admin.delete_records({FIFTH: offset})


@pytest.mark.parametrize("when", ["before it joins", "while it is paused"])
def test_what_the_log_lost_before_it_was_read_is_said_and_counted(harness, caplog, when):
    if when != "before it joins":
        harness.finish(*harness.place(partition=4))
        harness.faults.configure({"paused": True})
        harness.consumer.step()
    harness.place(3, partition=4)
    (kept,) = harness.place(partition=4)
    remove_before(harness.node, harness.node.end(FIFTH) - 1)
    harness.faults.reset()
    harness.finish(kept)
    assert harness.counted("lost") == 3
    (said,) = [record for record in caplog.records if "removed before they were read" in record.getMessage()]
    end = harness.node.end(FIFTH)
    assert said.levelname == "ERROR"
    assert said.fields == {"origin": f"{topics.ORDERS}/4/{end - 4}", "goes_on_at": end - 1, "lost": 3}


def test_a_log_that_ends_before_where_the_group_was_is_read_from_its_beginning(harness, caplog):
    end = harness.node.end(FIFTH)
    remove_before(harness.node, end)
    harness.node.move(harness.group, FIFTH, end + 100)
    harness.finish(*harness.place(2, partition=4))
    assert harness.counted("lost") == 0
    assert "the log ends before that" in caplog.text


class Undelivered:
    """What the producer gives for a record that it could not deliver in time."""

    def get(self, timeout: float) -> None:
        raise KafkaTimeoutError("not delivered")


def test_what_cannot_be_delivered_is_not_committed_without_it(harness, monkeypatch):
    harness.finish(*harness.place())
    (order,) = harness.place()
    before = harness.node.offsets(harness.group)
    with monkeypatch.context() as patch:
        patch.setattr(harness.consumer._membership.producer, "send", lambda *_, **__: Undelivered())
        with pytest.raises(ConnectionError, match="not delivered"):
            harness.step()
    assert harness.node.offsets(harness.group) == before
    harness.finish(order)


@pytest.mark.promise("poison")
def test_poison_of_every_kind_is_dead_lettered_with_its_origin_and_harms_nobody(harness):
    (first,) = harness.place(partition=0)
    harness.node.put(topics.ORDERS, *INVALID_EVENTS, None, partition=0)
    (last,) = harness.place(partition=0)
    harness.finish(first, last)
    records = [r for r in harness.node.read(topics.ORDERS) if r.partition == 0][-len(INVALID_EVENTS) - 2 : -1]
    assert len(INVALID_EVENTS) >= 12
    dead = {dict(record.headers)["x-origin"].decode(): record for record in harness.dead()}
    assert list(dead) == [f"{topics.ORDERS}/0/{record.offset}" for record in records]
    assert [(d.key, d.value) for d in dead.values()] == [(r.key, r.value or b"") for r in records]
    assert all(dict(record.headers)["x-reason"] for record in dead.values())
    assert harness.counted("dead_lettered") == len(INVALID_EVENTS) + 1


def test_an_event_in_the_topic_of_other_events_is_poison(harness):
    reader = harness.new(reads=[topics.ORDERS, topics.INVENTORY])
    harness.node.put(topics.INVENTORY, placed("stray"))
    harness.step(of=reader)
    (dead,) = harness.dead()
    assert dict(dead.headers)["x-reason"].startswith(b"OrderPlaced is not expected here")
    assert dict(dead.headers)["x-origin"].startswith(topics.INVENTORY.encode())
    assert harness.batches == []


@pytest.mark.promise("progress")
def test_more_poison_than_a_batch_holds(harness):
    harness.node.put(topics.ORDERS, *([b"poison"] * 600), partition=0)
    harness.finish(*harness.place(partition=0))
    assert len(harness.dead()) == 600


def test_poison_as_large_as_kafka_takes_does_not_stop_the_consumer(harness):
    harness.node.put(topics.ORDERS, b"x" * 1_048_400, partition=0)
    harness.finish(*harness.place(partition=0))
    assert len(harness.dead()) == 1


def test_other_groups_dead_letters_are_their_own(harness):
    harness.node.put(topics.ORDERS, b"poison", partition=0)
    other = harness.new(group=f"{harness.group}-other")
    harness.node.skip(f"{harness.group}-other")
    harness.node.put(topics.ORDERS, b"more poison", partition=0)
    harness.step(of=other)
    wait_until(lambda: harness.consumer.step() and len(harness.dead()) == 2)
    groups = [dict(record.headers)["x-group"].decode() for record in harness.node.read(topics.DEAD_LETTERS)]
    assert groups.count(f"{harness.group}-other") == 1


def test_a_reset_is_refused_while_a_member_is_alive(harness):
    harness.finish(*harness.place())
    with harness.node.admin() as admin:
        answers = admin.reset_group_offsets(harness.group, dict.fromkeys(ORIGINS, OffsetSpec.EARLIEST))
        assert {answer["error"] for answer in answers.values()} == {UnknownMemberIdError}
        before = harness.node.offsets(harness.group)
        harness.consumer.stop()
        assert harness.node.offsets(harness.group) == before


@pytest.mark.promise("c-duplicates", "LOG-1")
@pytest.mark.parametrize("noticed", [False, True], ids=["and does not know", "and has noticed"])
def test_a_zombie_is_refused_by_its_generation(harness, monkeypatch, noticed):
    monkeypatch.setattr("broker.clients.SESSION_MS", 2000)
    zombie = harness.consumer
    monkeypatch.setenv("PORT", "1")
    harness.finish(*harness.place())
    monkeypatch.setenv("PORT", "2")
    orders = harness.place(10)
    other = harness.new()

    def others_take_over() -> None:
        harness.during = lambda: None
        harness.node.evict(harness.group)
        if noticed:
            wait_until(lambda: zombie._membership.consumer.group_metadata().generation_id < 0)

    harness.during = others_take_over
    with pytest.raises(ConnectionError, match="CommitFailedError"):
        harness.step(of=zombie)
    harness.finish(*orders)
    assert other._membership.consumer is not None


def test_a_zombie_is_fenced_by_who_bears_its_name_and_says_so_and_leaves_it_alone(harness, clock):
    harness.finish(*harness.place())
    orders = harness.place(10)
    successor = harness.new()

    def successor_starts() -> None:
        harness.during = lambda: None
        successor._membership.join()

    harness.during = successor_starts
    with pytest.raises(ConnectionError, match="Fenced"):
        harness.step(of=harness.consumer)
    with pytest.raises(ConnectionError, match="another process works as"):
        harness.consumer.step()
    harness.consumers.remove(harness.consumer)
    harness.finish(*orders)


def test_a_member_joins_in_the_middle_of_a_batch(harness, monkeypatch):
    monkeypatch.setenv("PORT", "1")
    harness.finish(*harness.place())
    monkeypatch.setenv("PORT", "2")
    orders = harness.place(200)
    other = harness.new()

    def other_joins() -> None:
        harness.during = lambda: None
        with suppress(ConnectionError):
            other.step()

    harness.during = other_joins
    with suppress(ConnectionError):
        harness.step(of=harness.consumer)
    assert len(harness.batches[1]) > 1
    harness.finish(*orders)
    wait_until(
        lambda: [s.step() for s in harness.consumers] and list(harness.node.members(harness.group).values()) == [3, 3]
    )
    harness.finish(*harness.place(50))
