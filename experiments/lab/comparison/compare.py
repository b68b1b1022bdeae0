"""Sets the runs of the comparison side by side, from their committed raw files and nothing else.

A cell is the run of one model under one condition, `results/comparison/PART/CONDITION/`. What is made of all of them
lies in `results/comparison/`: `matrix.csv`, `summary.json`, `report.md` and a picture of each condition.
"""

import json
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

from lab.comparison import claims, plot, runs
from lab.comparison.claims import CELLS
from lab.comparison.runs import MODELS, ComparedRun
from lab.errors import LabError
from lab.history import model as history
from lab.paths import relative
from lab.report import run as run_report
from lab.report.format import as_csv, as_json, page
from lab.verdict import PASS, UNKNOWN, overall

SCHEMA_VERSION = 1
TEMPLATE = "comparison/templates/report.md.j2"
NOT_IN_MATRIX = ("fault", "received", "connections")
ComparedRuns = dict[tuple[str, str], ComparedRun]  # by (condition, part)


def make(home: Path, say: Callable[[str], None] = print) -> str:
    """Write the comparison of the runs in `home` and return its verdict. Raises LabError."""
    read = [_cell(home, part, condition) for condition, part in CELLS]
    if not any(read):
        raise LabError(f"there is no run to compare in {relative(home)}", "experiments/compare.sh --quick")
    made = files(filter(None, read))
    for name, content in made.items():
        (home / name).write_bytes(content)
    summary = json.loads(made["summary.json"])
    for each in (*summary["cells"], *summary["claims"]):
        if each["verdict"] != PASS:
            say(f"  {each['verdict']:7} {each.get('claim') or evidence(each)}")
    say(f"{summary['verdict']}: {relative(home)}/report.md")
    return summary["verdict"]


def files(found: Iterable[ComparedRun]) -> dict[str, bytes]:
    """Return the files of the comparison of these runs, by name. Raises LabError if their orders were not the same."""
    by_place = {(cell.condition, cell.part): cell for cell in found}
    cells = {place: by_place[place] for place in CELLS if place in by_place}
    first, *others = cells.values()
    for difference in filter(None, (runs.same_arrivals(first, cell) for cell in others)):
        raise LabError(f"the orders were not the same: {difference}", "run them again: experiments/compare.sh")
    summary = _summarise(cells)
    by_name = {(f["condition"], f["model"]): f for f in summary["cells"]}
    texts = {
        "matrix.csv": as_csv([_row(figures) for figures in summary["cells"]]),
        "summary.json": as_json(summary),
        "report.md": page(TEMPLATE, **summary, models=MODELS, found=by_name, evidence=evidence),
    }
    pictures = {
        f"{condition}.svg": plot.draw(title, [cell for cell in cells.values() if cell.condition == condition])
        for condition, title in summary["conditions"].items()
    }
    return {name: text.encode() for name, text in texts.items()} | pictures


def evidence(figures: dict[str, Any]) -> str:
    """Return where the run that proves a cell is, seen from the comparison's folder."""
    return f"{figures['model']}/{figures['condition']}/report.md"


def _row(figures: dict[str, Any]) -> dict[str, Any]:
    """Return a line of the matrix for programs; `lost` and so on are counts."""
    plain: dict[type, Callable[[Any], Any]] = {
        dict: lambda counts: "; ".join(f"{kind} {count}" for kind, count in counts.items()),
        list: len,
    }
    row = {name: plain.get(type(v), lambda v: v)(v) for name, v in figures.items() if name not in NOT_IN_MATRIX}
    return row | {"evidence": evidence(figures)}


def _cell(home: Path, part: str, condition: str) -> ComparedRun | None:
    """Read a cell; None when it was not run. Raises LabError when its raw files cannot be read, or are another's."""
    folder = home / part / condition
    if not (folder / history.HISTORY).exists():
        return None
    run = history.read(folder)
    if run.head.get("place") != f"comparison/{part}/{condition}":
        raise LabError(f"{part}/{condition} holds the run of {run.head.get('place')}")
    try:
        return ComparedRun(condition, part, run, run_report.summarise(run))
    except KeyError as missing:
        raise LabError(f"{part}/{condition} does not fit together: there is no {missing}") from None


def _summarise(cells: ComparedRuns) -> dict[str, Any]:
    figures = [cell.figures() for cell in cells.values()]
    first = next(iter(cells.values()))
    quick = first.run.head["quick"]
    judged = claims.judge(dict(zip(cells, figures, strict=True)), quick=quick)
    missing = [f"{part}/{condition}" for condition, part in CELLS if (condition, part) not in cells]
    return {
        "schema_version": SCHEMA_VERSION,
        "quick": quick,
        "load": first.load["params"],
        "conditions": {condition: cell.title for (condition, _), cell in cells.items()},
        "made_at": {cell.place: cell.run.head["environment"] for cell in cells.values()},
        "missing": missing,
        "cells": figures,
        "claims": judged,
        "verdict": overall([each["verdict"] for each in (*figures, *judged)] + [UNKNOWN for _ in missing]),
    }
