"""A consumer's work on a real broker, round by round: batches, failures, dead letters, and who may commit."""

import json
from contextlib import suppress

import broker.stream
import pytest
from broker import topics
from campus.database import DatabaseDown
from confluent_kafka import Producer
from conftest import Died, placed
from kafka import TopicPartition
from kafka.admin import OffsetSpec
from kafka.errors import KafkaTimeoutError, UnknownMemberIdError
from rig import wait_until
from rig.poison import POISON
from sqlalchemy import text

ORIGINS = [TopicPartition(topics.ORDERS, n) for n in range(6)]


def test_a_batch_is_worked_off_and_told_and_its_offsets_are_committed(bench):
    orders = bench.place(20)
    before = sum(bench.node.offsets(bench.group)[tp] for tp in ORIGINS)
    bench.finish(*orders)
    assert sorted(order for batch in bench.batches for order in batch) == sorted(orders)
    assert sum(bench.node.offsets(bench.group)[tp] for tp in ORIGINS) == before + 20
    assert bench.counted("done") == 20


def test_an_order_that_is_in_the_log_twice_has_one_verdict(bench):
    (order,) = bench.place()
    bench.node.put(topics.ORDERS, placed(order))
    bench.finish(order)
    bench.node.put(topics.ORDERS, placed(order))
    bench.step()
    assert bench.told(order) == [order]
    assert bench.counted("done") == 3


@pytest.mark.parametrize("point", ["before_commit", "after_commit", "after_publish"])
def test_a_crash_loses_nothing_and_doubles_nothing(bench, point):
    orders = bench.place(5, partition=0)
    bench.faults.configure({"crash_point": point})
    with pytest.raises(Died):
        bench.step()
    assert bench.told(*orders) == (sorted(orders) if point == "after_publish" else [])
    bench.faults.reset()
    bench.stream.close()
    bench.finish(*orders, *bench.place(partition=0))


def test_a_message_that_fails_is_tried_again_ever_later_while_the_others_go_on(bench, world):
    (bad,) = bench.place(partition=0)
    after = bench.place(2, partition=0)
    bench.broken = {bad}
    bench.step()
    for seconds in (1, 2, 4, 8):
        tried = sum(bad in batch for batch in bench.batches)
        world.now += seconds - 0.1
        bench.finish(*bench.place(2, partition=1))
        assert sum(bad in batch for batch in bench.batches) == tried
        assert bench.told(*after) == []
        world.now += 0.1
        bench.step()
        assert sum(bad in batch for batch in bench.batches) > tried
    bench.finish(*after)
    (dead,) = bench.dead()
    headers = dict(dead.headers)
    assert headers["x-reason"] == f"failed 5 times, last: ValueError: {bad} is broken".encode()
    assert [failure["why"] for failure in json.loads(headers["x-history"])] == [f"ValueError: {bad} is broken"] * 5
    assert (dead.key.decode(), json.loads(dead.value)["order_id"]) == (bad, bad)
    assert (bench.counted("retried"), bench.counted("dead_lettered"), bench.counted("done")) == (4, 1, 10)


def test_a_message_that_fails_once_is_not_lost(bench, world):
    (order,) = bench.place()
    bench.broken = {order}
    bench.step()
    bench.broken = set()
    world.now += 1
    bench.finish(order)


def test_a_partition_that_waits_with_more_than_a_batch_is_taken_up_again(bench, world, monkeypatch):
    monkeypatch.setattr(broker.stream, "BATCH", 5)
    waits = bench.place(12, partition=0)
    bench.broken = {waits[0]}
    wait_until(lambda: [bench.stream.step()] and bench.batches)
    bench.finish(*bench.place(12, partition=1))
    bench.broken = set()
    world.now += 1
    bench.finish(*waits)


def test_a_failing_message_takes_none_of_its_batch_with_it(bench, world):
    before, (bad,), after = bench.place(2, partition=0), bench.place(partition=0), bench.place(2, partition=0)
    bench.node.put(topics.ORDERS, b"poison", partition=0)
    bench.broken = {bad}
    bench.step()
    assert bench.told(bad, *before, *after) == sorted(before)
    assert bench.dead() == []  # the poison comes after it
    bench.broken = set()
    world.now += 1
    bench.finish(bad, *before, *after)
    assert len(bench.dead()) == 1


def test_when_the_database_is_full_no_message_is_to_blame(bench):
    bench.finish(*bench.place())
    orders = bench.place(500)
    for _ in range(6):
        with bench.database.transaction() as tx:
            tx.execute(text("PRAGMA max_page_count = 1"))  # as large as it is now; a new connection knows it no more
        with pytest.raises(DatabaseDown, match="full"):
            bench.step()
    bench.finish(*orders)
    assert (bench.counted("retried"), bench.dead()) == (0, [])


@pytest.mark.parametrize("fault", [DatabaseDown("away"), ConnectionResetError("reset"), OSError("no file is left")])
def test_a_fault_of_the_infrastructure_is_nobodys_try(bench, fault):
    orders = bench.place(5)

    def fail() -> None:
        raise fault

    bench.during = fail
    for _ in range(6):
        with pytest.raises(type(fault)):
            bench.step()
    bench.during = lambda: None
    bench.finish(*orders)
    assert (bench.counted("retried"), bench.dead()) == (0, [])


def test_the_tries_of_a_message_outlive_a_lost_connection(bench, world):
    (bad,) = bench.place(partition=0)
    bench.broken = {bad}
    for seconds in (1, 2, 4, 8, 0):
        bench.step()
        bench.stream._place.let_go()
        world.now += seconds
    assert len(bench.dead()) == 1


def test_what_can_never_be_applied_is_dead_lettered_at_once_and_holds_up_nobody(bench):
    before = bench.place(2, partition=0)
    bad = bench.place(8, partition=0)
    after = bench.place(5, partition=0)
    bench.never = set(bad)
    bench.finish(*before, *after)
    assert sorted(record.key.decode() for record in bench.dead()) == sorted(bad)
    assert dict(bench.dead()[0].headers)["x-reason"] == f"IllegalTransition: {bad[0]} contradicts".encode()
    assert (bench.counted("retried"), bench.counted("dead_lettered")) == (0, 8)


@pytest.mark.parametrize("count", [60, pytest.param(400, marks=[pytest.mark.long, pytest.mark.timeout(600)])])
def test_a_backlog_is_worked_off_by_who_loses_its_connection_again_and_again(bench, count):
    orders = bench.place(count)
    bench.faults.configure({"failure_mode": "drop", "failure_rate": 0.2, "seed": 7})
    left = len(orders)
    while left:
        bench.step()
        left = len(orders) - len(bench.told(*orders))
    assert bench.told(*orders) == sorted(orders)
    assert (bench.counted("retried"), bench.dead()) == (0, [])


def test_what_cannot_be_decompressed_is_one_dead_letter(bench):
    (before,) = bench.place(partition=0)
    other = Producer({"bootstrap.servers": bench.node.bootstrap, "compression.type": "lz4", "linger.ms": 200})
    for _ in range(10):
        other.produce(topics.ORDERS, value="from another program " * 20, partition=0)
    other.flush(10)
    (after,) = bench.place(partition=0)
    bench.finish(before, after)
    (dead,) = bench.dead()
    assert dict(dead.headers)["x-reason"].startswith(b"a batch of 10 records cannot be read: UnsupportedCodecError")


FIFTH = TopicPartition(topics.ORDERS, 4)


def remove_before(node, offset: int) -> None:
    """Remove what the log holds before this offset, as its retention does."""
    with node.admin() as admin:
        admin.delete_records({FIFTH: offset})


@pytest.mark.parametrize("when", ["before it joins", "while it is paused"])
def test_what_the_log_lost_before_it_was_read_is_said_and_counted(bench, caplog, when):
    if when != "before it joins":
        bench.finish(*bench.place(partition=4))
        bench.faults.configure({"paused": True})
        bench.stream.step()
    bench.place(3, partition=4)
    (kept,) = bench.place(partition=4)
    remove_before(bench.node, bench.node.end(FIFTH) - 1)
    bench.faults.reset()
    bench.finish(kept)
    assert bench.counted("lost") == 3
    (said,) = [record for record in caplog.records if "removed before they were read" in record.getMessage()]
    end = bench.node.end(FIFTH)
    assert said.levelname == "ERROR"
    assert said.fields == {"origin": f"{topics.ORDERS}/4/{end - 4}", "goes_on_at": end - 1, "lost": 3}


def test_a_log_that_ends_before_where_the_group_was_is_read_from_its_beginning(bench, caplog):
    end = bench.node.end(FIFTH)
    remove_before(bench.node, end)
    bench.node.move(bench.group, FIFTH, end + 100)
    bench.finish(*bench.place(2, partition=4))
    assert bench.counted("lost") == 0
    assert "the log ends before that" in caplog.text


class Undelivered:
    """What the producer gives for a record that it could not deliver in time."""

    def get(self, timeout: float) -> None:
        raise KafkaTimeoutError("not delivered")


def test_what_cannot_be_delivered_is_not_committed_without_it(bench, monkeypatch):
    bench.finish(*bench.place())
    (order,) = bench.place()
    before = bench.node.offsets(bench.group)
    with monkeypatch.context() as patch:
        patch.setattr(bench.stream._place.producer, "send", lambda *_, **__: Undelivered())
        with pytest.raises(ConnectionError, match="not delivered"):
            bench.step()
    assert bench.node.offsets(bench.group) == before
    bench.finish(order)


def test_poison_of_every_kind_is_dead_lettered_with_its_origin_and_harms_nobody(bench):
    (first,) = bench.place(partition=0)
    bench.node.put(topics.ORDERS, *POISON, None, partition=0)
    (last,) = bench.place(partition=0)
    bench.finish(first, last)
    records = [r for r in bench.node.read(topics.ORDERS) if r.partition == 0][-len(POISON) - 2 : -1]
    assert len(POISON) >= 12
    dead = {dict(record.headers)["x-origin"].decode(): record for record in bench.dead()}
    assert list(dead) == [f"{topics.ORDERS}/0/{record.offset}" for record in records]
    assert [(d.key, d.value) for d in dead.values()] == [(r.key, r.value or b"") for r in records]
    assert all(dict(record.headers)["x-reason"] for record in dead.values())
    assert bench.counted("dead_lettered") == len(POISON) + 1


def test_an_event_in_the_topic_of_other_events_is_poison(bench):
    reader = bench.new(reads=[topics.ORDERS, topics.INVENTORY])
    bench.node.put(topics.INVENTORY, placed("stray"))
    bench.step(of=reader)
    (dead,) = bench.dead()
    assert dict(dead.headers)["x-reason"].startswith(b"OrderPlaced is not expected here")
    assert dict(dead.headers)["x-origin"].startswith(topics.INVENTORY.encode())
    assert bench.batches == []


def test_more_poison_than_a_batch_holds(bench):
    bench.node.put(topics.ORDERS, *([b"poison"] * 600), partition=0)
    bench.finish(*bench.place(partition=0))
    assert len(bench.dead()) == 600


def test_poison_as_large_as_kafka_takes_does_not_stop_the_consumer(bench):
    bench.node.put(topics.ORDERS, b"x" * 1_048_400, partition=0)
    bench.finish(*bench.place(partition=0))
    assert len(bench.dead()) == 1


def test_other_groups_dead_letters_are_their_own(bench):
    bench.node.put(topics.ORDERS, b"poison", partition=0)
    other = bench.new(group=f"{bench.group}-other")
    bench.node.skip(f"{bench.group}-other")
    bench.node.put(topics.ORDERS, b"more poison", partition=0)
    bench.step(of=other)
    wait_until(lambda: bench.stream.step() and len(bench.dead()) == 2)
    groups = [dict(record.headers)["x-group"].decode() for record in bench.node.read(topics.DEAD_LETTERS)]
    assert groups.count(f"{bench.group}-other") == 1


def test_a_reset_is_refused_while_a_member_is_alive(bench):
    bench.finish(*bench.place())
    with bench.node.admin() as admin:
        answers = admin.reset_group_offsets(bench.group, dict.fromkeys(ORIGINS, OffsetSpec.EARLIEST))
        assert {answer["error"] for answer in answers.values()} == {UnknownMemberIdError}
        before = bench.node.offsets(bench.group)
        bench.stream.close()
        assert bench.node.offsets(bench.group) == before


@pytest.mark.parametrize("noticed", [False, True], ids=["and does not know", "and has noticed"])
def test_a_zombie_is_refused_by_its_generation(bench, monkeypatch, noticed):
    monkeypatch.setattr("broker.clients.SESSION_MS", 2000)
    zombie = bench.stream
    monkeypatch.setenv("PORT", "1")
    bench.finish(*bench.place())
    monkeypatch.setenv("PORT", "2")
    orders = bench.place(10)
    other = bench.new()

    def others_take_over() -> None:
        bench.during = lambda: None
        bench.node.evict(bench.group)
        if noticed:
            wait_until(lambda: zombie._place.consumer.group_metadata().generation_id < 0)

    bench.during = others_take_over
    with pytest.raises(ConnectionError, match="CommitFailedError"):
        bench.step(of=zombie)
    bench.finish(*orders)
    assert other._place.consumer is not None


def test_a_zombie_is_fenced_by_who_bears_its_name_and_says_so_and_leaves_it_alone(bench, world):
    bench.finish(*bench.place())
    orders = bench.place(10)
    successor = bench.new()

    def successor_starts() -> None:
        bench.during = lambda: None
        successor._place.join()

    bench.during = successor_starts
    with pytest.raises(ConnectionError, match="Fenced"):
        bench.step(of=bench.stream)
    with pytest.raises(ConnectionError, match="another process works as"):
        bench.stream.step()
    bench.streams.remove(bench.stream)
    bench.finish(*orders)


def test_a_member_joins_in_the_middle_of_a_batch(bench, monkeypatch):
    monkeypatch.setenv("PORT", "1")
    bench.finish(*bench.place())
    monkeypatch.setenv("PORT", "2")
    orders = bench.place(200)
    other = bench.new()

    def other_joins() -> None:
        bench.during = lambda: None
        with suppress(ConnectionError):
            other.step()

    bench.during = other_joins
    with suppress(ConnectionError):
        bench.step(of=bench.stream)
    assert len(bench.batches[1]) > 1
    bench.finish(*orders)
    wait_until(lambda: [s.step() for s in bench.streams] and list(bench.node.members(bench.group).values()) == [3, 3])
    bench.finish(*bench.place(50))
