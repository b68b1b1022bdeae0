"""The frame of an experiment: its header, its options, one at a time, and a clean end whatever ends it."""

import gzip
import json
import os
import re
import signal
from pathlib import Path

import pytest
from click.testing import CliRunner
from conftest import ROOT, Copy, free_ports
from lab.cli.main import main
from lab.errors import LabError
from lab.history import held, session, steps
from lab.history.header import read_header
from lab.history.recorder import RunRecorder
from lab.runtime import processes
from testing import wait_until

SCRIPTS = sorted((ROOT / "experiments").glob("[abc][0-9]_*.sh"))
names = pytest.mark.parametrize("script", SCRIPTS, ids=lambda script: script.name)


def test_a_header_has_a_title_and_sections():
    lines = ("# The title", "#", "# Shows: One thing,", "#   and more.", "# Not shown: A lot.", "", "# Why: no")
    text = "\n".join(("#!/usr/bin/env bash", *lines))
    assert read_header(text, "x.sh") == ("The title", {"Shows": "One thing, and more.", "Not shown": "A lot."})


def test_a_script_must_have_a_header():
    with pytest.raises(LabError, match=r"x.sh does not begin with a comment"):
        read_header("#!/usr/bin/env bash\nset -eu\n# too late\n", "x.sh")


@names
def test_every_script_says_what_it_is(script):
    title, about = read_header(script.read_text(), script.name)
    assert title.startswith(f"{script.name[:2].upper()}: ")
    assert set(about) == {"Shows", "Why", "Not shown", "Takes", "Usage"}
    assert re.search(r"^\d+ s; --quick \d+ s", about["Takes"])
    assert about["Usage"] == f"experiments/{script.name} [--quick]"


@pytest.mark.parametrize("script", [*SCRIPTS, ROOT / "experiments/run_all.sh"], ids=lambda script: script.name)
def test_help_prints_the_header_and_starts_nothing(copy: Copy, script):
    status, said = copy.run(f"experiments/{script.name}", "--help")
    header = [line[2:] for line in script.read_text().splitlines()[1:] if line.startswith("#")]
    assert status == 0
    assert said.splitlines()[0] == header[0]
    assert "Takes: " in said
    assert "Usage: " in said
    assert "#" not in said
    assert not (copy.root / ".lab/run").exists()


@pytest.mark.parametrize("script", ["a1_baseline.sh", "run_all.sh"])
def test_an_unknown_option_is_refused(copy: Copy, script):
    assert copy.run(f"experiments/{script}", "--fast") == (2, f"{script}: there is no option --fast; see --help\n")
    assert not (copy.root / ".lab/run").exists()


def test_only_one_experiment_at_a_time(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "RUNNING", tmp_path / "experiment.json")
    processes.save(processes.record_of(os.getpid()), session.RUNNING)
    with pytest.raises(LabError, match=f"another experiment is running .process {os.getpid()}."):
        session.begin(SCRIPTS[0], "sync-rest", quick=True, owner=1, say=print)
    assert processes.load(session.RUNNING).pid == os.getpid()


def running_script(copy: Copy):
    """Start A3, and return it once its part is up."""
    child = copy.popen("experiments/a3_failure.sh", "--quick")
    wait_until((copy.root / ".lab/runs/a3_failure/run.json").exists)
    return child


def interrupt(child) -> str:
    """Press Ctrl-C and return what the script said."""
    os.killpg(child.pid, signal.SIGINT)
    said, _ = child.communicate(timeout=30)
    return said


def test_ctrl_c_ends_an_experiment_and_its_services(copy: Copy):
    child = running_script(copy)
    wait_until((copy.root / ".lab/runs/a3_failure/load-healthy.jsonl").exists)  # in the middle of its loads
    said = interrupt(child)
    assert child.returncode == 130, said
    assert "interrupted: stopping sync-rest" in said
    wait_until(lambda: copy.services() == [])
    assert copy.records() == []
    assert not (copy.root / ".lab/quick").exists()


def test_a_second_experiment_does_not_disturb_the_first(copy: Copy):
    child = running_script(copy)
    before = [path.read_text() for path in copy.records()]
    status, said = copy.run("experiments/a1_baseline.sh", "--quick")
    assert status == 2
    assert f"another experiment is running (process {child.pid})" in said
    assert child.poll() is None
    assert [path.read_text() for path in copy.records()] == before
    assert len(before) == 3
    assert len(copy.services()) >= 3
    interrupt(child)
    wait_until(lambda: copy.services() == [])


def test_an_experiment_that_cannot_begin_leaves_nothing(copy: Copy):
    status, said = copy.run("experiments/a1_baseline.sh", "--quick", INITIAL_STOCK="nonsense")
    assert status == 2
    assert "inventory exited during start-up" in said
    wait_until(lambda: copy.services() == [])


def recorder(folder: Path, quick: bool = False) -> RunRecorder:
    head = {"part": "sync-rest", "experiment": "a0_made", "quick": quick}
    return RunRecorder.begin(folder / "run", head)


def test_a_journal_orders_the_lines_of_all_writers(tmp_path):
    notes = recorder(tmp_path)
    notes.record(type="settled")
    notes.append("load-a", [{"at": -1.0, "type": "phase"}])
    assert [line["type"] for line in notes.lines()] == ["phase", "settled"]


def test_waiting_for_a_moment_of_a_load(tmp_path):
    notes = recorder(tmp_path)
    notes.record(type="begins", phase="a")
    notes.wait_for("a", 0.3)
    assert notes.now() >= 0.3


def test_a_moment_that_a_script_waited_for_is_noted(tmp_path, monkeypatch):
    notes = recorder(tmp_path)
    monkeypatch.setenv("LAB_RUN", str(notes.folder))
    notes.record(type="begins", phase="a")
    assert CliRunner().invoke(main, ["at", "a", "0.1"]).exit_code == 0
    notes.record(type="fault", verb="kill", service="order")
    assert notes.lines()[1] | {"at": 0} == {"at": 0, "type": "due", "phase": "a", "seconds": 0.1}
    [load, kill] = steps.happened(notes.lines())
    assert (load.due, kill.due) == (None, ("a", 0.1))


@pytest.mark.parametrize("quick", [True, False])
def test_a_finished_run_replaces_the_last_one(tmp_path, monkeypatch, quick):
    monkeypatch.setattr(session, "STATE_DIR", tmp_path / ".lab")
    monkeypatch.setattr(session, "RESULTS", tmp_path / "results")
    place = (tmp_path / ".lab/quick" if quick else tmp_path / "results") / "sync-rest/a0_made"
    place.mkdir(parents=True)
    (place / "old.txt").touch()
    notes = recorder(tmp_path, quick)
    notes.record(type="settled")
    (notes.folder / "report.md").write_text("new")
    assert session.publish(notes) == place
    assert [file.name for file in place.iterdir()] == ["report.md"]  # what was written while it ran stays behind


def test_what_the_services_said_is_kept_for_whoever_asks_why(tmp_path, monkeypatch):
    monkeypatch.setattr(session, "STATE_DIR", tmp_path / ".lab")
    notes = recorder(tmp_path)
    assert session.keep_logs(notes) is None
    logs = tmp_path / ".lab/logs/sync-rest"
    logs.mkdir(parents=True)
    (logs / "order.log").write_text("why")
    monkeypatch.setattr(session, "MAX_OF_A_LOG", 10)
    (logs / "kafka.log").write_text("long ago; the end")
    (logs / "kafka.log.1").write_text("before")
    kept = {file.name: gzip.decompress(file.read_bytes()) for file in session.keep_logs(notes).iterdir()}
    assert kept == {"order.log.gz": b"why", "kafka.log.gz": b"o; the end", "kafka.log.1.gz": b"before"}


def test_a_service_that_is_gone_is_missing_in_the_state(tmp_path, monkeypatch):
    for name, port in zip(("ORDER", "INVENTORY", "NOTIFICATION"), free_ports(3), strict=True):
        monkeypatch.setenv(f"A_{name}_PORT", str(port))
    lines = held.state({"part": "sync-rest"})
    assert [(line["what"], line["service"]) for line in lines] == [
        ("missing", "notification"),
        ("missing", "inventory"),
        ("missing", "order"),
    ]
    assert json.dumps(lines)
