"""A run with too many orders for one file: its portions, what is found in them, and its report."""

import json
from dataclasses import asdict
from types import SimpleNamespace

import pytest
from hand_made import HEAD, Raw, good, refused, streamed
from lab import client
from lab.checker import invariants
from lab.checker.run_view import Run as RunView
from lab.errors import LabError
from lab.grading import grade
from lab.growth import check as checker
from lab.growth import grow, portions
from lab.growth.size import Size
from lab.history.model import Run
from lab.history.recorder import RunRecorder
from lab.report import run as reports
from lab.runtime import docker
from test_check import BROKEN

OF_ORDERS = ("invoke", "ok", "fail", "info")
SERVICES = {name: SimpleNamespace(url=f"http://{name}") for name in ("order", "inventory", "notification")}


@pytest.fixture
def in_portions(tmp_path, monkeypatch):
    """Return a function that puts a run into portions, and returns what the checker finds in them."""
    monkeypatch.setattr(portions, "STATE_DIR", tmp_path)

    def find(raw: Raw, *reports: dict) -> list[invariants.Finding]:
        recorder = RunRecorder.begin(tmp_path / "run", HEAD)
        portions.begin(HEAD)
        portions.add_load(HEAD, [e for e in raw.events if e["type"] in OF_ORDERS])
        rows = {f"{what}s": [line for line in raw.state if line["what"] == what] for what in portions_of}
        monkeypatch.setattr(client, "each_row", lambda url, name: iter(rows[name]))
        portions.add_state(recorder, SERVICES)
        [noted] = recorder.lines()
        assert (noted["type"], noted["files"], len(noted["sha256"])) == ("raw", portions.PORTIONS, 64)
        rest = [line for line in raw.state if line["what"] not in portions_of]
        return checker.check(Run(HEAD, [], [*rest, *reports]), portions.read(HEAD))

    portions_of = ("order", "reservation", "notification")
    return find


def test_the_processes_of_containers_are_not_measured_as_ours(tmp_path, monkeypatch):
    monkeypatch.setattr(grow.lifecycle, "choose", docker.DockerRuntime)
    with pytest.raises(LabError, match="with Docker it cannot be measured"):
        grow.grow(RunRecorder.begin(tmp_path / "run", HEAD), 10)


def test_a_good_run_is_good_in_portions(in_portions):
    whole, found = invariants.check(good().run()), in_portions(good())
    assert [asdict(finding) for finding in found] == [asdict(finding) for finding in whole]


@pytest.mark.parametrize(("change", "named", "rule", "others"), BROKEN, ids=[case[0].__name__ for case in BROKEN])
def test_what_is_wrong_is_found_in_portions(in_portions, change, named, rule, others):
    raw = good()
    change(raw)
    found = {finding.id: finding for finding in in_portions(raw) if finding.verdict == "fail"}
    assert found.keys() == {rule} | others
    assert named in [violation["subject"] for violation in found[rule].violations]


def test_without_the_state_of_a_service_nothing_is_decided(in_portions):
    assert {f.verdict for f in in_portions(good(), {"what": "missing", "service": "order"})} == {"unknown"}


@pytest.mark.parametrize("seen", [5, 6])
def test_the_numbers_of_analytics_are_held_against_all_portions(in_portions, seen):
    """Of six orders one was refused by the order service itself."""
    raw = streamed()
    refused(raw, "409")
    report = raw.state.pop(next(n for n, line in enumerate(raw.state) if line["what"] == "report"))
    del report["what"]
    report["totalOrdersSeen"] = seen
    report |= {"what": "report", "digest": invariants.digest(report)}
    [eighth] = [finding for finding in in_portions(raw, report) if finding.id == "INV-8"]
    assert eighth.verdict == ("pass" if seen == 5 else "fail")


def grown(orders: int, total: int) -> dict:
    each = {"order": 0.0002 * orders, "kafka": 0.0001 * orders}
    return {
        "type": "grown", "at": total / 1000, "orders": orders, "total": total, "ok": orders,
        "accepted": 1.0, "seconds": 2.0,
        "processor": each, "memory": {"order": 90.0, "kafka": 400.0}, "store": {"order": total / 1000},
        "page": 0.004, "status": 0.003, "work": 0.002, "settling": 0.4,
    }  # fmt: skip


@pytest.fixture
def run() -> Run:
    findings = [asdict(finding) for finding in invariants.check(good().run())]
    raw = {"type": "raw", "at": 9.0, "files": 64, "megabytes": 1.5, "sha256": "f" * 64}
    checked = {"type": "checked", "at": 9.0, "findings": findings}
    return Run(HEAD | {"portions": True}, [grown(100, 100), grown(1000, 1100), raw, checked], [])


def test_predictions_ask_for_the_cost_of_one_order(run):
    view = RunView(run, {})
    assert [Size(view, n).processor for n in (100, 1000)] == pytest.approx([0.0003, 0.0003])
    assert (Size(view, 1000).memory("kafka"), Size(view, 100).store) == (400.0, 0.001)
    assert (Size(view, 100).page, Size(view, 100).work) == (0.004, 0.002)
    assert str(Size(view, 10).ok) == "nan"


def test_the_report_says_what_is_not_committed_and_what_was_found(run):
    made = reports.files(run)
    page, summary = made["report.md"].decode(), json.loads(made["summary.json"])
    assert (summary["verdict"], summary["grown"]) == ("pass", 1100)
    assert "7 of 7 invariants, over 1,100 orders" in page
    assert "| 1,000 | 1,100 | 1.0 s | 2.0 s | 2,000 µs | 300 µs | 4.0 ms | 3.0 ms | 2.0 ms | 0.40 s |" in page
    assert f"SHA-256 `{'f' * 64}`" in page
    assert "What the clients saw" not in page
    assert made["plot.svg"] == reports.files(run)["plot.svg"]


def test_a_page_counts_by_its_quickest_try_so_that_a_busy_machine_does_not(monkeypatch):
    took = iter([0.9, 0.002, 0.5] * 100)  # a service that is quick, on a machine that is not
    monkeypatch.setattr(grow, "_took", lambda url, query: next(took))
    assert grow._slow("http://order", [f"limit=100&after=o{n}" for n in range(100)]) == 0.002


def test_grading_says_that_the_lines_of_the_orders_are_not_committed(run):
    [said] = grade.raw_lines_are_there(SimpleNamespace(run=run))
    assert isinstance(said, grade.Notice)
    assert "64 files, 1.5 MB, SHA-256 ffff" in said
