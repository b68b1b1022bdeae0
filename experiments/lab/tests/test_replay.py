"""Reading again from an earlier offset, with a member of a real group; and counting what is in the log by hand."""

import contextlib
import json
from collections.abc import Iterator
from types import SimpleNamespace

import pytest
from campus.events import INVENTORY_FAILED, INVENTORY_RESERVED, ORDER_PLACED, new_event
from click.testing import CliRunner
from kafka.admin import OffsetSpec, OffsetTimestamp
from kafka_clients import Member, commit, put, put_committed
from lab import client as http
from lab.analysis import reports
from lab.brokers import count_log, kafka, kafka_client, lag
from lab.brokers.lag import Groups
from lab.cli.main import main
from lab.errors import LabError
from lab.faults import replay
from lab.history.recorder import RunRecorder
from lab.runtime import lifecycle
from lab.services import Service, services_of
from testing import wait_until

GROUP = "inventory-consumer-group"
ORDERS, INVENTORY = kafka.PLACED, kafka.RESERVED


class Stage:
    """A runtime of one service: a member of its group while it runs."""

    def __init__(self, node: Service) -> None:
        self._node = node
        self._member: Member | None = None
        self.done: list[str] = []

    def state(self, service: Service) -> str:
        return "running" if self._member else "exited"

    def start(self, service: Service) -> None:
        self.done.append("start")
        self._member = Member(self._node, GROUP, ORDERS)

    def stop(self, service: Service) -> None:
        self.done.append("stop")
        if self._member:
            self._member.leave()
        self._member = None

    def has_read(self) -> list[bytes]:
        return sorted(self._member.bodies)


@pytest.fixture
def stage(log, monkeypatch) -> Iterator[Stage]:
    """Three orders, and the member that has read them."""
    put(log, ORDERS, b"1", b"2")
    put(log, ORDERS, b"3", partition=1)
    made = Stage(log)
    made.start(services_of("streaming-kafka")["inventory"])
    wait_until(lambda: made.has_read() == [b"1", b"2", b"3"] and lag.waiting(log) == 0)
    monkeypatch.setattr(lifecycle, "choose", lambda: made)
    monkeypatch.setattr(lifecycle, "wait_ready", lambda *_: None)  # it is for replay to wait
    made.done.clear()
    yield made
    made.stop(log)


def again(log: Service, to: str) -> tuple[int, float]:
    """Replay the group."""
    with contextlib.closing(Groups(log)) as groups:
        service = services_of("streaming-kafka")["inventory"]
        return replay.run(groups, GROUP, service, to, say=lambda _: None)


def committed(log: Service) -> list[int]:
    with kafka_client.asking(log) as client:
        return [offset.offset for _, offset in sorted(client.list_group_offsets([GROUP])[GROUP].items())]


@pytest.mark.parametrize(
    ("to", "read"),
    [
        ("earliest", [b"1", b"2", b"3"]),
        ("1", [b"2"]),
        ("99", []),
        ("latest", []),
        ("2020-01-31T12:00:00Z", [b"1", b"2", b"3"]),
        ("2099-01-31T12:00:00", []),
    ],
)
def test_a_group_reads_again_from_there(log, stage, to, read):
    partitions, took = again(log, to)
    assert (partitions, took > 0, stage.done) == (2, True, ["stop", "start"])
    assert stage.has_read() == read
    assert committed(log) == [2, 1]


def test_a_second_consumer_is_not_disturbed(log, stage, monkeypatch):
    monkeypatch.setattr(replay, "EMPTY_SECONDS", 0.3)
    second = Member(log, GROUP, ORDERS, client="stranger")
    wait_until(lambda: second.joined)
    with pytest.raises(LabError, match=r"more members than its service: .*stranger at 127") as refused:
        again(log, "earliest")
    assert "nothing was changed" in refused.value.hint
    assert stage.done == []
    assert committed(log) == [2, 1]
    second.leave()


def test_a_member_that_comes_meanwhile_is_refused_and_the_service_runs_again(log, stage, monkeypatch):
    monkeypatch.setattr(replay, "EMPTY_SECONDS", 0.3)
    stop = stage.stop
    late = []

    def stop_slowly(service: Service) -> None:
        stop(service)
        late.append(Member(log, GROUP, ORDERS, client="stranger"))
        wait_until(lambda: late[0].joined)

    monkeypatch.setattr(stage, "stop", stop_slowly)
    with pytest.raises(LabError, match="stranger"):
        again(log, "earliest")
    assert stage.done == ["stop", "start"]
    assert committed(log) == [2, 1]
    late[0].leave()
    monkeypatch.setattr(stage, "stop", stop)


def test_a_refused_partition_is_said(log, stage):
    with contextlib.closing(Groups(log)) as groups:
        partitions = [place.left_off[0] for place in groups.places([GROUP])]
        with pytest.raises(LabError, match=r"refused to reset order-events/0 \(UnknownMemberIdError\)"):
            groups.reset(GROUP, dict.fromkeys(partitions, OffsetSpec.EARLIEST))
    assert committed(log) == [2, 1]


def test_an_offset_that_was_reset_has_no_note(log):
    put(log, ORDERS, b"1")
    commit(log, GROUP, {(ORDERS, 0): 1})
    with kafka_client.asking(log) as client:
        before = client.list_group_offsets([GROUP])[GROUP]
        client.alter_group_offsets(GROUP, {p: o._replace(metadata="a state of analytics") for p, o in before.items()})
    with contextlib.closing(Groups(log)) as groups:
        groups.reset(GROUP, dict.fromkeys(before, OffsetSpec.EARLIEST))
    with kafka_client.asking(log) as client:
        assert {(o.offset, o.metadata) for o in client.list_group_offsets([GROUP])[GROUP].values()} == {(0, "")}


def test_a_group_that_has_read_nothing(log):
    with contextlib.closing(Groups(log)) as groups, pytest.raises(LabError, match="has read nothing yet"):
        replay.run(groups, GROUP, services_of("streaming-kafka")["inventory"], "earliest", say=print)


def test_where_to_go():
    assert replay.target("earliest") is OffsetSpec.EARLIEST
    assert replay.target("latest") is OffsetSpec.LATEST
    assert replay.target("17") == 17
    for time in ("2026-01-31T12:00:00Z", "2026-01-31T13:00:00+01:00", "2026-01-31T12:00:00"):
        assert isinstance(replay.target(time), OffsetTimestamp)
        assert int(replay.target(time)) == 1769860800000
    with pytest.raises(LabError, match="yesterday is not a position in a log"):
        replay.target("yesterday")


def test_two_reports_side_by_side():
    one = {"totalOrdersSeen": 3, "ordersPerMinuteBucket": {"12:00": 3}, "generatedAtUnix": 1, "digest": "a"}
    other = {"totalOrdersSeen": 3, "ordersPerMinuteBucket": {"12:01": 3}, "generatedAtUnix": 2, "digest": "b"}
    assert reports.compared(one, one | {"generatedAtUnix": 2})[-1] == "the same, by digest and in every number"
    lines = reports.compared(one, other)
    assert lines[-1] == "different: 12:00, 12:01, digest"
    assert ["12:01", "None", "3"] in [line.split() for line in lines]


def test_a_run_keeps_the_reports_and_then_the_replay(log, tmp_path, monkeypatch):
    notes = RunRecorder.begin(tmp_path / "run", {"part": "streaming-kafka"})
    monkeypatch.setenv("LAB_RUN", str(notes.folder))
    counts = iter((3, 4))
    monkeypatch.setattr(replay, "run", lambda *_, **__: (12, 1.5))
    monkeypatch.setattr(
        http, "call", lambda method, url: SimpleNamespace(json=lambda: {"totalOrdersSeen": next(counts), "digest": "d"})
    )
    done = CliRunner().invoke(main, ["replay", "analytics-consumer-group"])
    assert done.output.splitlines()[-1] == "different: totalOrdersSeen"
    lines = [{key: value for key, value in line.items() if key != "at"} for line in notes.lines()]
    assert lines == [
        {"type": "report", "name": "before replay", "report": {"totalOrdersSeen": 3, "digest": "d"}},
        {"type": "report", "name": "after replay", "report": {"totalOrdersSeen": 4, "digest": "d"}},
        {"type": "replay", "group": "analytics-consumer-group", "to": "earliest", "partitions": 12, "took": 1.5},
    ]


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["replay", "nobody"], "there is no group nobody"),
        (["replay", "analytics-consumer-group", "--to", "soon"], "soon is not a position in a log"),
        (["note-report", "x"], "this is a command for experiment scripts"),
    ],
)
def test_what_cannot_be_done_is_said(words, said):
    done = CliRunner().invoke(main, words)
    assert (done.exit_code, said in done.output) == (2, True)


# --- counting by hand ---


def placed(order: str, at: str) -> bytes:
    data = {"user_id": "u", "items": [{"sku": "burger", "qty": 1}]}
    return new_event(ORDER_PLACED, order, data, at=f"2026-01-31T{at}:00.000001Z").encode()


def verdict(order: str, kind: str = INVENTORY_RESERVED) -> bytes:
    data = (
        {"reason": "unknown_sku"} if kind == INVENTORY_FAILED else {"user_id": "u", "items": [{"sku": "x", "qty": 1}]}
    )
    return new_event(kind, order, data).encode()


@pytest.fixture
def told(log) -> Service:
    """Four orders, one of them told twice, and poison; three verdicts, one told twice."""
    put(log, ORDERS, placed("a", "12:00"), b"no JSON", placed("b", "12:01"), placed("a", "12:00"))
    put(log, ORDERS, placed("c", "12:01"), placed("d", "12:02"), partition=1)
    put_committed(log, INVENTORY, verdict("a"), verdict("b", INVENTORY_FAILED), verdict("a"))
    put_committed(log, INVENTORY, verdict("c"), partition=1)
    return log


def test_each_order_is_counted_once_in_the_minute_of_its_event(told):
    report = count_log.count(told)
    minutes = {"2026-01-31T12:00": 1, "2026-01-31T12:01": 2, "2026-01-31T12:02": 1}
    assert report["ordersPerMinuteBucket"] == minutes
    numbers = [report[k] for k in ("totalOrdersSeen", "totalInventoryEvents", "inventoryFailed", "failureRate")]
    assert numbers == [4, 3, 1, 0.333333]
    assert count_log.count(told)["digest"] == report["digest"]


def test_by_the_clock_on_the_wall_the_report_is_another(told, monkeypatch):
    seconds = iter(f"2030-01-01T00:00:{n:02}" for n in range(60))
    monkeypatch.setattr(count_log, "_this_second", lambda: next(seconds))
    one, other = (count_log.count(told, by=count_log.WALL_CLOCK) for _ in range(2))
    assert one["totalOrdersSeen"] == other["totalOrdersSeen"] == 4
    assert len({one["digest"], other["digest"], count_log.count(told)["digest"]}) == 3


def test_orders_lost_at_random_are_the_same_only_with_a_seed(told):
    orders = {f"o{n}": "12:00" for n in range(200)}
    lost, same, other, another = (count_log._lost(orders, 0.3, seed) for seed in (7, 7, None, None))
    assert lost == same
    assert len({frozenset(orders_) for orders_ in (lost, other, another)}) == 3
    assert 30 < len(lost) < 90
    assert [count_log.count(told, fail=1.0)[k] for k in ("totalOrdersSeen", "totalInventoryEvents")] == [0, 0]


def test_a_tally_is_noted_and_shown(told, tmp_path, monkeypatch):
    notes = RunRecorder.begin(tmp_path / "run", {"part": "streaming-kafka"})
    monkeypatch.setenv("LAB_RUN", str(notes.folder))
    done = CliRunner().invoke(main, ["tally", "by hand"])
    [line] = notes.lines()
    assert (line["type"], line["name"], line["report"]["totalOrdersSeen"]) == ("report", "by hand", 4)
    assert json.loads(done.output) == {"name": "by hand"} | line["report"]
