"""`results/README.md`: every run in one page, made from what the runs say of themselves; and a table for a terminal.

Experiments and benchmarks have a line each. Of folders with many runs and a report over all of them, it says how these
ended.
"""

import json
from collections import Counter
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from lab.history import model as history
from lab.history.model import SAMPLES
from lab.paths import PARTS
from lab.report.format import page, verdict_sentence
from lab.verdict import EXIT_STATUS, MARK, PASS, UNKNOWN, worst_status

MANY = {
    "comparison": "One workload in all three models, under each condition",
    "chaos": "Faults by chance, repeatable by their seed",
    "broken/red": "Usual mistakes, made on purpose: here every run must fail",
    "broken/green": "The same stories with the right code",
}


def write(results: Path) -> str:
    """Return the index of the runs in a folder."""
    return page(
        "report/templates/index.md.j2",
        parts={part: [_experiment(run) for run in _runs(results / part, history.HISTORY)] for part in PARTS},
        benchmarks=[_benchmark(run) for run in _runs(results / "bench", SAMPLES)],
        many=[row for kind, shows in MANY.items() for row in _many(results, kind, shows)],
    )


def _experiment(folder: Path) -> tuple[str, ...]:
    summary = _summary(folder)
    title = f"[{summary['title']}](../experiments/{summary['experiment']}.sh)"
    shows = (folder / "report.md").read_text().split("\n\n")[1]
    return title, shows, f"{MARK[summary['verdict']]}: {verdict_sentence(summary)}", _link(folder)


def _benchmark(folder: Path) -> tuple[str, ...]:
    summary = _summary(folder)
    reached = sum(goal["verdict"] == PASS for goal in summary["goals"])
    verdict = f"{MARK[summary['verdict']]}: {reached} of {len(summary['goals'])} goals reached."
    return f"`./lab bench {folder.name}`", verdict, _link(folder)


def _many(results: Path, kind: str, shows: str) -> list[tuple[str, ...]]:
    """Return the line for one kind of run, if there are any; `broken/red` are the runs named red below broken."""
    folder, _, name = kind.partition("/")
    runs = [run for run in _runs(results / folder, history.HISTORY) if name in ("", run.name)]
    counts = Counter(_summary(run)["verdict"] for run in runs)
    verdicts = ", ".join(f"{counts[verdict]} {mark}" for verdict, mark in MARK.items() if counts[verdict])
    return [(kind, shows, verdicts, f"[report]({folder}/report.md)")] if runs else []


def _runs(folder: Path, raw: str) -> list[Path]:
    """Return the folders below this one that hold a finished run, which has these raw data."""
    return sorted(file.parent for file in folder.rglob(raw) if (file.parent / "summary.json").exists())


def _summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


def _link(folder: Path) -> str:
    return f"[report]({folder.parent.name}/{folder.name}/report.md)"


def show(folders: Iterable[Path]) -> int:
    """Print experiment, verdict and verdict sentence of each run, and return the worst verdict's exit status.

    A folder without a summary is a run that did not finish: `unknown`.
    """
    table = Table("experiment", "verdict", "found")
    statuses = []
    for folder in folders:
        try:
            summary = _summary(folder)
        except (OSError, ValueError):
            verdict, sentence = UNKNOWN, "It did not finish."
        else:
            verdict, sentence = summary["verdict"], verdict_sentence(summary)
        statuses.append(EXIT_STATUS[verdict])
        table.add_row(folder.name, verdict, sentence)
    Console(width=120).print(table)
    return worst_status(statuses)
