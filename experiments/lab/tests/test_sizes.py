"""The committed evidence is small enough to live with: each plot, each table, and all of results/ together."""

import json
import subprocess
from pathlib import Path

from lab.paths import ROOT
from lab.report.plot import MAX_BYTES
from lab.report.series import MAX_ROWS

MAX_MEGABYTES = 16
MAX_EXPLORED = 60_000  # bytes of a page or of the figures of explored schedules
MAX_TRACE = 40_000  # bytes of the messages that a run recorded


def committed(ending: str = "") -> list[Path]:
    """Return the files of results/ that git has, as they lie here."""
    command = ["git", "-C", str(ROOT), "ls-files", "-z", "results"]
    names = subprocess.run(command, capture_output=True, text=True).stdout.split("\0")
    found = [ROOT / name for name in names if name] or [*(ROOT / "results").rglob("*")]
    return [path for path in found if path.is_file() and path.name.endswith(ending)]


def test_all_results_together_are_small():
    assert sum(path.stat().st_size for path in committed()) <= MAX_MEGABYTES * 1_000_000


def test_each_plot_is_small():
    assert [path for path in committed(".svg") if path.stat().st_size > MAX_BYTES] == []


def test_what_explored_schedules_leave_is_small():
    explored = [path for path in committed() if path.parent.name == "explore"]
    assert [path for path in explored if path.stat().st_size > MAX_EXPLORED] == []


def test_the_messages_that_a_run_recorded_are_few():
    traces = committed("trace.jsonl.gz")
    assert len(traces) >= 18
    assert [path for path in traces if path.stat().st_size > MAX_TRACE] == []


def test_each_table_is_short():
    assert [path for path in committed(".csv") if len(path.read_text().splitlines()) > MAX_ROWS + 1] == []


def test_what_came_out_as_expected_has_no_plot_and_no_tables():
    of_many = [p for kind in ("svg", "csv") for p in committed(kind) if p.parts[-4] in ("chaos", "broken")]
    assert [path for path in of_many if verdict_beside(path) == ("fail" if path.parts[-2] == "red" else "pass")] == []


def verdict_beside(path: Path) -> str:
    return json.loads((path.parent / "summary.json").read_text())["verdict"]
