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
from lab.verdict import EXIT_STATUS, UNKNOWN, worst_status

MANY = {"comparison": "*", "chaos": "*", "broken/red": "red", "broken/green": "green"}  # kind: what its runs are called


def write(results: Path) -> str:
    """Return the index of the runs in a folder."""
    return page(
        "report/templates/index.md.j2",
        parts={part: _runs(results / part, history.HISTORY) for part in PARTS},
        benchmarks=_runs(results / "bench", SAMPLES),
        many={kind: _runs(results / kind.split("/")[0], f"{name}/{history.HISTORY}") for kind, name in MANY.items()},
    )


def _runs(folder: Path, raw: str) -> list[dict[str, Any]]:
    """Return the summary of each finished run below a folder that has these raw data, and what its report shows."""
    folders = sorted(file.parent for file in folder.rglob(raw) if (file.parent / "summary.json").exists())
    return [_summary(folder) | {"name": folder.name, "shows": _shows(folder / "report.md")} for folder in folders]


def _shows(report: Path) -> str:
    return report.read_text().split("\n\n")[1] if report.exists() else ""


def _summary(folder: Path) -> dict[str, Any]:
    return json.loads((folder / "summary.json").read_text())


def show(folders: Iterable[Path]) -> int:
    """Print experiment, verdict and verdict sentence of each run, and return the worst verdict's exit status.

    A folder without a summary is a run that did not finish: `unknown`. Runs of one name are shown with the part.
    """
    table = Table("experiment", "verdict", "found")
    statuses, folders = [], [*folders]
    named = Counter(folder.name for folder in folders)
    for folder in folders:
        try:
            summary = _summary(folder)
        except (OSError, ValueError):
            verdict, sentence = UNKNOWN, "It did not finish." if folder.exists() else "It was not run."
        else:
            verdict, sentence = summary["verdict"], verdict_sentence(summary)
        statuses.append(EXIT_STATUS[verdict])
        name = folder.name if named[folder.name] == 1 else f"{folder.parent.name}/{folder.name}"
        table.add_row(name, verdict, sentence)
    Console(width=120).print(table)
    return worst_status(statuses)
