"""How far Kafka's groups are behind, on a real node; and what is said about where that goes."""

import contextlib
import time
from dataclasses import replace

import pytest
from click.testing import CliRunner
from kafka import TopicPartition
from kafka_clients import Member, commit, put, put_aborted, put_committed, transaction
from lab.brokers import kafka, kafka_client, lag_table
from lab.brokers.lag import Groups, Place
from lab.brokers.lag_table import Look
from lab.cli.main import main
from lab.errors import LabError
from lab.history.recorder import RunRecorder
from lab.services import Service
from testing import wait_until

GROUP, OTHER = "inventory-consumer-group", "order-status-group"
ORDERS, INVENTORY = kafka.PLACED, kafka.RESERVED


def behind(node: Service, group: str = GROUP) -> dict[tuple[str, int], tuple[int | None, int, int]]:
    """Return `(current, end, lag)` of a group by topic and partition."""
    with contextlib.closing(Groups(node)) as groups:
        return {(p.topic, p.partition): (p.current, p.end, p.lag) for p in groups.places([group])}


def test_the_lag_is_what_a_group_has_not_read(log):
    put(log, ORDERS, b"1", b"2", b"3")
    commit(log, GROUP, {(ORDERS, 0): 1})
    assert behind(log) == {(ORDERS, 0): (1, 3, 2), (ORDERS, 1): (None, 0, 0)}


def test_what_was_never_committed_counts_from_the_beginning(log):
    put(log, ORDERS, b"1", b"2", partition=1)
    commit(log, GROUP, {(ORDERS, 0): 0})
    assert behind(log)[ORDERS, 1] == (None, 2, 2)


def test_a_member_that_has_committed_nothing_has_its_lag(log):
    put(log, ORDERS, b"1")
    member = Member(log, GROUP, ORDERS, lazy=True)
    wait_until(lambda: member.bodies)
    assert behind(log) == {(ORDERS, 0): (None, 1, 1), (ORDERS, 1): (None, 0, 0)}
    member.leave()


def test_markers_are_nothing_to_read(log):
    put_committed(log, INVENTORY, b"1", b"2")  # and a marker at 2
    put_aborted(log, INVENTORY, b"never")  # at 3, and a marker at 4
    commit(log, GROUP, {(INVENTORY, 0): 2})
    assert behind(log)[INVENTORY, 0] == (2, 5, 0)
    put_committed(log, INVENTORY, b"3")
    assert behind(log)[INVENTORY, 0] == (2, 7, 5)
    commit(log, GROUP, {(INVENTORY, 0): 6})
    assert behind(log)[INVENTORY, 0] == (6, 7, 0)


def test_what_is_in_an_open_transaction_is_not_behind(log):
    put_committed(log, INVENTORY, b"1")
    commit(log, GROUP, {(INVENTORY, 0): 1})
    with transaction(log, INVENTORY, b"2", b"3"):
        assert behind(log)[INVENTORY, 0] == (1, 2, 0)
        assert states() == ["OPEN 2", "OK"]
    assert behind(log)[INVENTORY, 0] == (1, 5, 4)
    assert states() == ["STALL", "OK"]


def states() -> list[str]:
    return [line.split(maxsplit=10)[10] for line in run(GROUP).splitlines()[1:] if line]


def test_what_retention_deleted_before_it_was_read_is_lost(log):
    put(log, ORDERS, b"1", b"2", b"3", b"4")
    put(log, ORDERS, b"5", partition=1)
    commit(log, GROUP, {(ORDERS, 0): 1})
    with kafka_client.asking(log) as client:
        client.delete_records({TopicPartition(ORDERS, 0): 3, TopicPartition(ORDERS, 1): 1})
    assert behind(log) == {(ORDERS, 0): (1, 4, 1), (ORDERS, 1): (None, 1, 0)}
    assert states() == ["LOST 2", "LOST 1"]
    commit(log, GROUP, {(ORDERS, 0): 3, (ORDERS, 1): 1})  # it has gone on
    assert states() == ["STALL", "OK"]


def test_partitions_that_are_added_are_seen(log):
    commit(log, GROUP, {(ORDERS, 0): 0})
    with contextlib.closing(Groups(log)) as groups, kafka_client.asking(log) as client:
        assert len(groups.places([GROUP])) == 2
        client.create_partitions({ORDERS: 12})
        wait_until(lambda: len(groups.places([GROUP])) == 12)


def test_the_oldest_unread_record_of_each_group(log):
    before = time.time()
    put(log, ORDERS, b"1")
    between = time.time()
    put(log, ORDERS, b"2")
    commit(log, GROUP, {(ORDERS, 0): 0})
    commit(log, OTHER, {(ORDERS, 0): 1})
    with contextlib.closing(Groups(log)) as groups:
        for _ in range(2):  # from the log, and from what is remembered
            oldest = {p.group: p.oldest for p in groups.places([GROUP, OTHER]) if p.partition == 0}
            assert before - 0.001 <= oldest[GROUP] <= between <= oldest[OTHER] + 0.001
        commit(log, GROUP, {(ORDERS, 0): 2})
        commit(log, OTHER, {(ORDERS, 0): 0})
        now = {p.group: (p.lag, p.oldest) for p in groups.places([GROUP, OTHER]) if p.partition == 0}
        assert now == {GROUP: (0, None), OTHER: (2, oldest[GROUP])}


def test_looking_again_finds_what_is_next_in_one_partition_of_two(log):
    put(log, ORDERS, *(b"x" for _ in range(9)))
    put(log, ORDERS, *(b"x" for _ in range(9)), partition=1)
    commit(log, GROUP, {(ORDERS, 0): 0, (ORDERS, 1): 0})
    with contextlib.closing(Groups(log)) as groups:
        for offset in range(1, 4):
            assert all(place.oldest for place in groups.places([GROUP]))
            commit(log, GROUP, {(ORDERS, offset % 2): offset})
        assert [place.lag for place in groups.places([GROUP])] == [7, 6]


def test_the_member_that_has_a_partition(log):
    members = [Member(log, GROUP, ORDERS, client=f"c{n}") for n in (1, 2)]
    with contextlib.closing(Groups(log)) as groups:
        wait_until(lambda: len({(p.member or {}).get("client_id") for p in groups.places([GROUP])} - {None}) == 2)
        assert sorted(groups.members(GROUP)) == ["c1 at 127.0.0.1", "c2 at 127.0.0.1"]
        for member in members:
            member.leave()
        assert groups.members(GROUP) == []


def test_the_laboratory_does_not_show_its_own_groups(log):
    commit(log, GROUP, {(ORDERS, 0): 0})
    commit(log, kafka._memory(ORDERS), {(kafka.DEAD_LETTERS, 0): 0})
    with contextlib.closing(Groups(log)) as groups:
        assert groups.names() == [GROUP]


PLACE = Place(GROUP, ORDERS, 0, 10, 10, 20, 10, oldest=90.0, member={"client_id": "c"})


@pytest.mark.parametrize(
    ("before", "now", "said"),
    [
        ({"lag": 5}, {"lag": 0}, "OK"),
        ({"start": 0, "lag": 20}, {"lag": 10}, "OK"),  # it becomes less
        ({"start": 0, "lag": 10}, {"lag": 10}, "OK"),  # as much as it reads in a second
        ({"start": 0, "lag": 11}, {"lag": 12}, "WARN"),
        ({"start": 9, "lag": 9}, {"lag": 10}, "WARN"),  # it moves, and more comes
        ({"start": 9, "lag": 10}, {"lag": 10}, "WARN"),
        ({"lag": 9}, {"lag": 10}, "STALL"),
        ({"lag": 10}, {"lag": 10}, "STALL"),
        ({"start": 9, "lag": 9}, {"member": None}, "STALL"),  # nobody reads
        ({"lag": 0}, {"lag": 0, "member": None}, "OK"),  # and there is nothing to read
        ({"lag": 0}, {"lag": 3, "oldest": 99.5}, "OK"),  # it came just now
        ({"lag": 0}, {"lag": 3, "oldest": 98.5}, "WARN"),
        (None, {"lag": 3, "oldest": 98.5}, "WARN"),
        ({"lag": 0, "open": 2}, {"lag": 0, "open": 5}, "OPEN 5"),
        ({"lag": 0, "open": 2, "end": 19}, {"lag": 0, "open": 2}, "OK"),  # another transaction than before
        ({"lag": 0}, {"lag": 0, "open": 2}, "OK"),
    ],
)
def test_the_state_is_where_it_goes(before, now, said):
    was = {} if before is None else {PLACE.key: replace(PLACE, **before)}
    assert lag_table.state(Look(99.0, was), Look(100.0, {PLACE.key: replace(PLACE, **now)}), PLACE.key) == said


def test_a_row_says_what_is_not_known():
    lost = replace(PLACE, current=None, oldest=None, member=None)
    [row] = lag_table.rows(Look(99.0, {}), Look(100.0, {PLACE.key: lost}))
    assert [row[name] for name in lag_table.TABLE] == [GROUP, ORDERS, 0, "-", 20, 10, "-", "-", "-", "-", "STALL"]


def run(*words: str) -> str:
    done = CliRunner().invoke(main, ["lag", *words])
    assert done.exit_code == 0, done.output
    return done.output


def test_the_table_is_that_of_kafkas_own_tool(log):
    put(log, ORDERS, b"1", b"2", b"3")
    commit(log, GROUP, {(ORDERS, 0): 1})
    commit(log, OTHER, {(ORDERS, 0): 3})
    header, first, *_ = run(GROUP).splitlines()
    named = "GROUP TOPIC PARTITION CURRENT-OFFSET LOG-END-OFFSET LAG CONSUMER-ID HOST CLIENT-ID LAG-SECONDS STATE"
    assert header.split() == named.split()
    *row, seconds, state = first.split()
    assert row == [GROUP, ORDERS, "0", "1", "3", "2", "-", "-", "-"]
    assert (float(seconds) >= 1, state) == (True, "STALL")
    assert OTHER in run()
    assert OTHER not in run(GROUP)


def test_watching_shows_it_again(log, monkeypatch):
    monkeypatch.setattr(lag_table, "BETWEEN_SECONDS", 0.1)
    monkeypatch.setattr(lag_table, "WATCH_SECONDS", 0.1)
    put(log, ORDERS, b"1", b"2")
    commit(log, GROUP, {(ORDERS, 0): 0})
    with contextlib.closing(Groups(log)) as groups:
        tables = lag_table.tables(groups, GROUP, watch=True)
        assert [next(tables)[0]["lag"] for _ in range(2)] == [2, 2]
        commit(log, GROUP, {(ORDERS, 0): 1})
        assert next(tables)[0]["lag"] == 1


def test_a_run_keeps_the_table(log, tmp_path, monkeypatch):
    notes = RunRecorder.begin(tmp_path / "run", {"part": "streaming-kafka"})
    monkeypatch.setenv("LAB_RUN", str(notes.folder))
    put(log, ORDERS, b"1")
    commit(log, GROUP, {(ORDERS, 0): 0})
    run("--note", "before")
    [line] = notes.lines()
    assert (line["type"], line["name"], len(line["rows"])) == ("lag table", "before", 2)
    row = line["rows"][0]
    assert row.pop("lag_seconds") >= 1
    place = {"group": GROUP, "topic": ORDERS, "partition": 0, "current": 0, "end": 1, "lag": 1}
    assert row == place | {"state": "STALL", "client": None, "consumer": None, "host": None}


def test_what_cannot_be_shown_is_said(log, free_port, monkeypatch):
    with contextlib.closing(Groups(log)) as groups, pytest.raises(LabError, match="there is no group nobody"):
        next(lag_table.tables(groups, "nobody", watch=False))
    assert CliRunner().invoke(main, ["lag", "--note", "x"]).exit_code == 2
    monkeypatch.setenv("C_KAFKA_PORT", str(free_port))
    done = CliRunner().invoke(main, ["lag"])
    assert done.exit_code == 2
    assert done.output.splitlines()[0].startswith(f"lab: Kafka does not answer at 127.0.0.1:{free_port}")
