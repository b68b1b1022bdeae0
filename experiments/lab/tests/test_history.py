"""Reading raw files: operations, fault windows, and files that are the same for the same lines."""

import gzip

import pytest
from hand_made import Raw, good
from lab.errors import LabError
from lab.history.model import HISTORY, STATE, Window, read, write_lines


def windows(*faults: tuple) -> list[Window]:
    """Return the windows of faults given as (verb, service, second, value)."""
    raw = Raw()
    for verb, service, at, *value in faults:
        raw.fault(verb, service, at, **(value[0] if value else {}))
    return raw.run().windows


@pytest.mark.parametrize(
    ("begin", "end", "what"),
    [("kill", "start", "killed"), ("stop", "start", "stopped"), ("pause", "unpause", "frozen")],
)
def test_a_disturbance_lasts_until_it_is_mended(begin, end, what):
    assert windows((begin, "inventory", 1.0), (end, "inventory", 3.0)) == [Window("inventory", what, 1.0, 3.0)]


def test_faults_last_until_the_reset():
    found = windows(("configure", "order", 1.0, {"delay": 2, "seed": 7}), ("reset", "order", 4.0))
    assert found == [Window("order", "delay=2 seed=7", 1.0, 4.0)]


def test_other_faults_begin_another_window():
    found = windows(("configure", "order", 1.0, {"delay": 2}), ("configure", "order", 2.0, {"delay": 3}))
    assert found == [Window("order", "delay=2", 1.0, 2.0), Window("order", "delay=3", 2.0, None)]


def test_settings_are_merged_as_the_service_does_and_one_without_a_fault_is_no_window():
    found = windows(
        ("configure", "order", 1.0, {"delay": 2}),
        ("configure", "order", 2.0, {"paused": True}),
        ("configure", "order", 3.0, {"paused": False}),
        ("configure", "order", 4.0, {"delay": 2}),  # as it was
        ("configure", "order", 5.0, {"delay": 0}),
    )
    assert found == [
        Window("order", "delay=2", 1.0, 2.0),
        Window("order", "delay=2 paused=True", 2.0, 3.0),
        Window("order", "delay=2", 3.0, 5.0),
    ]


def test_a_crash_leaves_no_fault():
    found = windows(("configure", "order", 1.0, {"crash_point": "x"}), ("configure", "order", 2.0, {"delay": 3}))
    assert found == [Window("order", "crash_point=x", 1.0, 2.0), Window("order", "delay=3", 2.0, None)]


def test_what_nobody_mends_has_no_end():
    assert windows(("pause", "order", 1.0)) == [Window("order", "frozen", 1.0, None)]


def test_faults_die_with_the_process():
    found = windows(("configure", "order", 1.0, {"delay": 2}), ("kill", "order", 2.0), ("start", "order", 3.0))
    assert found == [Window("order", "delay=2", 1.0, 2.0), Window("order", "killed", 2.0, 3.0)]


def test_a_frozen_service_that_is_killed_was_frozen_until_then():
    found = windows(("pause", "order", 1.0), ("kill", "order", 2.0), ("start", "order", 3.0))
    assert found == [Window("order", "frozen", 1.0, 2.0), Window("order", "killed", 2.0, 3.0)]


def test_services_are_told_apart():
    found = windows(("kill", "order", 1.0), ("start", "inventory", 2.0), ("start", "order", 3.0))
    assert found == [Window("order", "killed", 1.0, 3.0)]


def test_operations_have_their_fate():
    run = good().run()
    assert [(op.op, op.result, op.kind, op.order_id) for op in run.operations] == [
        ("a-0", "ok", "201", "o0"),
        ("a-1", "fail", "409", "o1"),
        ("a-2", "info", "504", "o2"),
        ("a-3", "info", "reset", None),
        ("a-4", "fail", "refused", None),
    ]
    raw = Raw()
    raw.sends("a-9", 1.0, [])
    [cut_off] = raw.run().operations
    assert (cut_off.result, cut_off.ended) == (None, None)


def test_what_is_written_is_read(tmp_path):
    run = read(good().write(tmp_path))
    assert (run.head, run.events, run.state) == (good().run().head, good().run().events, good().run().state)


def test_the_same_lines_are_the_same_bytes_at_any_time(tmp_path, monkeypatch):
    lines = [{"at": 1.5, "type": "x"}, {"at": 2.0, "ü": ["…"]}]
    for name, now in (("one", 1e9), ("two", 2e9)):
        monkeypatch.setattr("time.time", lambda now=now: now)
        write_lines(tmp_path / name, lines)
    assert (tmp_path / "one").read_bytes() == (tmp_path / "two").read_bytes()
    assert gzip.decompress((tmp_path / "one").read_bytes()).count(b"\n") == 2


@pytest.mark.parametrize("spoiled", [HISTORY, STATE])
def test_what_cannot_be_read_is_said(tmp_path, spoiled):
    good().write(tmp_path)
    (tmp_path / spoiled).write_bytes(b"not gzip")
    with pytest.raises(LabError, match="has no readable run"):
        read(tmp_path)
    (tmp_path / spoiled).unlink()
    with pytest.raises(LabError, match="has no readable run"):
        read(tmp_path)
