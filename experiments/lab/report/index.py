"""`results/README.md`: every run in one page, made from what the runs say of themselves.

Experiments and benchmarks have a line each. Of folders with many runs and a report over all of them, it says how these
ended.
"""

import json
from collections import Counter
from pathlib import Path
from typing import Any

from lab.history import model as history
from lab.history.model import SAMPLES
from lab.paths import PARTS
from lab.report.format import table, verdict_sentence
from lab.verdict import MARK, PASS

ABOVE = """# What was measured

`./lab readme` makes this page from the runs below it. [How to read a report](../README.md#how-to-read-a-report)"""
MANY = {
    "comparison": "One workload in all three models, under each condition",
    "chaos": "Faults by chance, repeatable by their seed",
    "broken/red": "Usual mistakes, made on purpose: here every run must fail",
    "broken/green": "The same stories with the right code",
}


def write(results: Path) -> str:
    """Return the index of the runs in a folder."""
    sections = [ABOVE, *(_part(results / part) for part in PARTS), _benchmarks(results / "bench"), _many(results)]
    return "\n\n".join(section for section in sections if section) + "\n"


def _part(folder: Path) -> str:
    rows = [_experiment_row(run) for run in _runs(folder, history.HISTORY)]
    return _section(folder.name, ("experiment", "what it shows", "verdict", "report"), rows)


def _experiment_row(folder: Path) -> tuple[str, ...]:
    summary = _summary(folder)
    title = f"[{summary['title']}](../experiments/{summary['experiment']}.sh)"
    shows = (folder / "report.md").read_text().split("\n\n")[1]
    return title, shows, f"{MARK[summary['verdict']]}: {verdict_sentence(summary)}", _link(folder)


def _benchmarks(folder: Path) -> str:
    rows = [_benchmark_row(run) for run in _runs(folder, SAMPLES)]
    return _section("Benchmarks", ("command", "verdict", "report"), rows)


def _benchmark_row(folder: Path) -> tuple[str, ...]:
    summary = _summary(folder)
    reached = sum(goal["verdict"] == PASS for goal in summary["goals"])
    verdict = f"{MARK[summary['verdict']]}: {reached} of {len(summary['goals'])} goals reached."
    return f"`./lab bench {folder.name}`", verdict, _link(folder)


def _many(results: Path) -> str:
    rows = [row for kind, shows in MANY.items() for row in _many_row(results, kind, shows)]
    return _section("Many runs together", ("runs", "what they show", "verdicts", "report"), rows)


def _many_row(results: Path, kind: str, shows: str) -> list[tuple[str, ...]]:
    """Return the line for one kind of run, if there are any; `broken/red` are the runs named red below broken."""
    folder, _, name = kind.partition("/")
    runs = [run for run in _runs(results / folder, history.HISTORY) if name in ("", run.name)]
    counts = Counter(_summary(run)["verdict"] for run in runs)
    verdicts = ", ".join(f"{counts[verdict]} {mark}" for verdict, mark in MARK.items() if counts[verdict])
    return [(kind, shows, verdicts, f"[report]({folder}/report.md)")] if runs else []


def _section(title: str, columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    return f"## {title}\n\n{table(columns, rows)}" if rows else ""


def _runs(folder: Path, raw: str) -> list[Path]:
    """Return the folders below this one that hold a finished run, which has these raw data."""
    return sorted(file.parent for file in folder.rglob(raw) if (file.parent / "summary.json").exists())


def _summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


def _link(folder: Path) -> str:
    return f"[report]({folder.parent.name}/{folder.name}/report.md)"
