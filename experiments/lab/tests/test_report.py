"""Reports: made from the raw files alone, the same bytes each time, with a verdict that never flatters."""

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from hand_made import Raw, good, items
from lab.cli.main import main
from lab.history.model import HISTORY, STATE, TRACE
from lab.paths import RESULTS, ROOT
from lab.report import run as run_report
from lab.report.format import verdict_sentence
from lab.verdict import EXIT_STATUS, overall

MADE = ("report.md", "summary.json", "completions.csv", "plot.svg")
COMMITTED = sorted(file.parent for file in RESULTS.glob(f"*/*/{HISTORY}"))


def make_anew(raw_files: Path, folder: Path) -> None:
    """Make a report from copies of the raw files in a process of its own, where sets have another order."""
    folder.mkdir()
    for name in (HISTORY, STATE, TRACE):
        if (raw_files / name).exists():
            shutil.copy(raw_files / name, folder / name)
    env = os.environ | {
        "PYTHONPATH": f"{ROOT}/experiments:{ROOT}/common",
        "PYTHONHASHSEED": "12345",
        "TZ": "Asia/Tokyo",
    }
    done = subprocess.run(
        [sys.executable, "-m", "lab", "report", str(folder)], env=env, cwd=folder, capture_output=True, text=True
    )
    assert "Traceback" not in done.stderr, done.stderr


def same_files(one: Path, other: Path) -> None:
    for name in MADE:
        assert (one / name).read_bytes() == (other / name).read_bytes(), name


def spoiled() -> Raw:
    """Return a run with a bit of everything: loads, faults, violations."""
    raw = good()
    raw.load("b", 7.0, 9.0)
    raw.fault("configure", "order", 3.2, delay=2)
    for n, sku in enumerate(("caviar", "truffle", "lobster", "oyster")):
        raw.reservation(f"ghost-{n}", "reserved", 1.5, items(1, sku))
    return raw


def test_the_same_raw_files_give_the_same_bytes(tmp_path):
    first = spoiled().write(tmp_path / "first")
    run_report.make(first)
    before = {name: (first / name).read_bytes() for name in MADE}
    run_report.make(first)
    assert {name: (first / name).read_bytes() for name in MADE} == before
    make_anew(first, tmp_path / "second")
    same_files(first, tmp_path / "second")


@pytest.mark.parametrize("folder", COMMITTED, ids=[f"{f.parent.name}/{f.name}" for f in COMMITTED])
def test_committed_reports_come_from_their_raw_files(folder, tmp_path):
    make_anew(folder, tmp_path / folder.name)
    same_files(folder, tmp_path / folder.name)


@pytest.mark.parametrize(
    ("parts", "verdict", "status"),
    [
        (["pass", "pass"], "pass", 0),
        (["pass", "unknown"], "unknown", 2),
        (["unknown", "fail", "pass"], "fail", 1),
        (["pass", "fail"], "fail", 1),
        ([], "unknown", 2),
    ],
)
def test_the_verdict_is_the_worst_of_all(parts, verdict, status):
    assert overall(parts) == verdict
    assert EXIT_STATUS[verdict] == status


def summary_of(raw: Raw, tmp_path: Path) -> dict:
    return run_report.make(raw.write(tmp_path))


def test_a_run_that_keeps_all_promises_passes(tmp_path):
    summary = summary_of(good(), tmp_path)
    assert summary["verdict"] == "pass"
    assert json.loads((tmp_path / "summary.json").read_text()) == summary
    assert verdict_sentence(summary) == "0 of 0 predictions hold, 7 of 7 invariants, over 5 orders."


def test_a_prediction_that_fails_is_the_verdict(tmp_path, expecting):
    expecting('yield at_least("a0-ok", "Done", run.load("a").ok, 2)')
    assert summary_of(good(), tmp_path)["verdict"] == "fail"


def test_a_prediction_without_a_figure_is_unknown(tmp_path, expecting):
    expecting('yield at_least("a0-ok", "Done", run.load("nobody").ok, 0)')
    assert summary_of(good(), tmp_path)["verdict"] == "unknown"


def test_a_run_without_state_is_unknown_whatever_was_predicted(tmp_path, expecting):
    raw = good()
    expecting('yield at_least("a0-ok", "Done", run.load("a").ok, 1)')
    raw.state = []
    assert summary_of(raw, tmp_path)["verdict"] == "unknown"


def late(raw: Raw, phase: str) -> Raw:
    """Return the run with all orders of a load sent 20 ms late."""
    for e in raw.events:
        if e["type"] == "invoke" and e["phase"] == phase:
            e["intended"] -= 0.02
    return raw


def test_on_a_busy_machine_predictions_are_unknown_and_invariants_are_not(tmp_path, expecting):
    expecting('yield at_least("a0-ok", "Done", run.load("a").ok, 2)')
    summary = summary_of(late(good(), "a"), tmp_path)
    assert (summary["predictions"][0]["verdict"], summary["verdict"]) == ("fail", "unknown")
    assert summary["doubt"].startswith("The machine was busy: 100.0 % of the load a was sent more than 10 ms late")
    raw = late(good(), "a")
    raw.moves(-1)
    assert summary_of(raw, tmp_path)["verdict"] == "fail"


def test_the_report_begins_with_whether_the_run_can_be_trusted(tmp_path, expecting):
    file = expecting('yield at_least("a0-ok", "Done", run.load("a").ok, 1)')
    raw = good()
    raw.add("predictions", 0.25, text=file.read_text())
    raw.add("machine", 6.0, phase="a", busy=1.5, others=0.25, busiest={"cc": 0.2, "ssh": 0.02})
    summary_of(raw, tmp_path)
    top = (tmp_path / "report.md").read_text().partition("## Predicted and measured")[0]
    assert "- Load generator: 0.0 % of the orders of a load were sent more than 10 ms late at most (load a)" in top
    assert "of 2 cores, 1.5 (at most 1.5 during a load) were busy, and 0.2 (at most 0.2 during a load)" in top
    assert "other programs than this experiment's: cc 0.2." in top
    assert "- Predictions: written down at 12:00:00 UTC, 0.8 s before the first load began" in top


def test_a_run_of_nothing_is_unknown(tmp_path):
    assert summary_of(Raw(), tmp_path)["verdict"] == "unknown"
    assert (tmp_path / "completions.csv").read_text() == ""


def test_the_report_says_what_was_found(tmp_path, expecting):
    expecting(
        'yield equals("a0-done", "Orders done", run.load("a").ok, 1, unit="orders")',
        'yield at_most("a0-p50", "Quick", run.load("a").percentile(0.5), 0.001, unit="s")',
        'yield equals("a0-504", "Some", run.load("a").share("504"), 0.2, within=0.05, unit="%")',
        'yield at_least("a0-nobody", "None", run.load("nobody").percentile(0.5) / run.load("a").sent, 1, unit="s")',
    )
    summary_of(spoiled(), tmp_path)
    text = (tmp_path / "report.md").read_text()
    assert text.startswith("# A0: made by hand\n\nNothing.\n\n**✘ fail** — 2 of 4 predictions hold, 5 of 7 invariants")
    assert "| a0-done | Orders done | 1 orders ± 0 | 1 orders | ✔ pass |" in text
    assert "| 20.0 % ± 5 points | 20.0 % | ✔ pass |" in text
    assert "| a0-nobody | None | at least 1.00 s | – | ? unknown |" in text
    written = '`run.load("nobody").percentile(0.5) / run.load("a").sent`'
    computed = '`load("nobody").percentile(0.5) ÷ load("a").sent` | ? ÷ 5 = ? |'
    assert f"| a0-nobody | 8 | measured | {written} | {computed}" in text
    assert "| a0-nobody | 8 | predicted | `1` |  | 1 |" in text
    assert "| a | open, 1/s, 5 s | 5 | 1 | 2 | 2 |" in text
    assert "| a | `504` inventory did not answer in time | 1 | 20.0 % |" in text
    assert "| order | delay=2 | 3.2 s | end | – |" in text
    assert "**ghost-0** breaks INV-4: it holds stock and no client ordered it" in text
    assert "experiments/a0_made.sh" in text


def test_the_picture_shades_what_was_disturbed(tmp_path):
    summary_of(spoiled(), tmp_path)
    picture = (tmp_path / "plot.svg").read_text()
    assert "inventory: frozen" in picture
    assert "order: delay=2" in picture


def test_the_series_has_a_line_a_second(tmp_path):
    summary_of(good(), tmp_path)
    lines = (tmp_path / "completions.csv").read_text().splitlines()
    assert lines[:3] == ["second,sent,ok,fail,info,notified,waiting", "0,0,0,0,0,0,0", "1,1,1,0,0,1,0"]


def test_many_runs_in_one_table(tmp_path):
    def status(*names: str) -> int:
        done = CliRunner().invoke(main, ["summary", *(str(tmp_path / name) for name in names)])
        said.append(done.stdout)
        return done.exit_code

    said: list[str] = []
    run_report.make(good().write(tmp_path / "good"))
    raw = good()
    raw.moves(-1)
    run_report.make(raw.write(tmp_path / "bad"))
    assert status("good") == 0
    assert status("good", "missing") == 2
    assert status("good", "bad", "missing") == 1
    assert "It was not run." in said[-1]
    (tmp_path / "begun").mkdir()
    assert status("good", "begun") == 2
    assert "It did not finish." in said[-1]
