"""One table over several runs."""

import json
from collections.abc import Iterable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from lab.report.format import verdict_sentence
from lab.verdict import EXIT_STATUS, UNKNOWN, worst_status


def show(folders: Iterable[Path]) -> int:
    """Print experiment, verdict and verdict sentence of each run, and return the worst verdict's exit status.

    A folder without a summary is a run that did not finish: `unknown`.
    """
    table = Table("experiment", "verdict", "found")
    statuses = []
    for folder in folders:
        name, verdict, sentence = _read(folder)
        statuses.append(EXIT_STATUS[verdict])
        table.add_row(name, verdict, sentence)
    Console(width=120).print(table)
    return worst_status(statuses)


def _read(folder: Path) -> tuple[str, str, str]:
    try:
        summary = json.loads((folder / "summary.json").read_text())
    except (OSError, ValueError):
        return folder.name, UNKNOWN, "It did not finish."
    return folder.name, summary["verdict"], verdict_sentence(summary)
