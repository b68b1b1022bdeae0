"""Sets the runs of the comparison side by side, from their committed raw files and nothing else.

A cell is the run of one model under one condition, `results/comparison/PART/CONDITION/`. What is made of all of them
lies in `results/comparison/`: `matrix.csv`, `summary.json`, `report.md` and a picture of each condition.
"""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

from lab.comparison import claims, page, plot, runs
from lab.comparison.claims import CELLS
from lab.comparison.runs import ComparedRun
from lab.errors import LabError
from lab.history import model as history
from lab.paths import relative
from lab.report import run as run_report
from lab.report.format import as_json, verdict_sentence
from lab.verdict import FAIL, PASS, UNKNOWN, overall

SCHEMA_VERSION = 1
ComparedRuns = dict[tuple[str, str], ComparedRun]  # by (condition, part)


def make(home: Path, say: Callable[[str], None] = print) -> str:
    """Write the comparison of the runs in `home` and return its verdict. Raises LabError."""
    cells = _read(home)
    summary = _summarise(cells)
    for name, content in _files(cells, summary).items():
        (home / name).write_bytes(content)
    for each in (*summary["cells"], *summary["claims"]):
        if each["verdict"] != PASS:
            say(f"  {each['verdict']:7} {each.get('claim') or page.evidence(each)}")
    say(f"{summary['verdict']}: {relative(home)}/report.md")
    return summary["verdict"]


def files(found: Iterable[ComparedRun]) -> dict[str, bytes]:
    """Return the files of the comparison of these runs, by name. Raises LabError where they cannot be compared."""
    by_place = {(cell.condition, cell.part): cell for cell in found}
    cells = _comparable({place: by_place[place] for place in CELLS if place in by_place})
    return _files(cells, _summarise(cells))


def _files(cells: ComparedRuns, summary: dict[str, Any]) -> dict[str, bytes]:
    """Return the files of the comparison by name."""
    texts = {
        "matrix.csv": page.as_csv(summary["cells"]),
        "summary.json": as_json(summary),
        "report.md": page.write(summary),
    }
    pictures = {
        f"{condition}.svg": plot.draw(title, [cell for cell in cells.values() if cell.condition == condition])
        for condition, title in summary["conditions"].items()
    }
    return {name: text.encode() for name, text in texts.items()} | pictures


def complaints(home: Path) -> Iterator[tuple[str, str]]:
    """Yield `(verdict, sentence)` for everything that keeps the comparison from being what it says."""
    try:
        cells = _read(home)
        made = _files(cells, _summarise(cells))
    except Exception as error:  # raw files that were tampered with can break anything
        yield FAIL, f"{error or type(error).__name__}"
        return
    for cell in cells.values():
        found = overall([i["verdict"] for i in cell.summary["invariants"]])
        if found != PASS:
            yield found, f"{cell.place}: {verdict_sentence(cell.summary)}"
        place = home / cell.place
        digest = run_report.digest_in((place / "summary.json").read_bytes()) or ""
        own = run_report.files(cell.run, dict(cell.summary), digest=digest)
        yield from ((FAIL, wrong) for wrong in _edited(place, own))
        if digest and run_report.digest_of((place / run_report.PLOT).read_bytes()) != digest:
            yield FAIL, f"{cell.place}/{run_report.PLOT} is not the picture whose digest summary.json has"
    yield from ((UNKNOWN, f"{place} was not run") for place in _missing(cells))
    yield from ((FAIL, wrong) for wrong in _edited(home, made))
    for picture in sorted(home.glob("*.svg")):
        if picture.name not in made:
            yield FAIL, f"{picture.name} is of no run"


def _read(home: Path) -> ComparedRuns:
    """Return the cells. Raises LabError when they cannot be compared."""
    read = {(condition, part): _cell(home, part, condition) for condition, part in CELLS}
    found = {place: cell for place, cell in read.items() if cell is not None}
    if not found:
        raise LabError(f"there is no run to compare in {relative(home)}", "experiments/compare.sh --quick")
    return _comparable(found)


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


def _comparable(found: ComparedRuns) -> ComparedRuns:
    """Return these cells. Raises LabError where their orders were not the same."""
    first, *others = found.values()
    for difference in filter(None, (runs.same_arrivals(first, cell) for cell in others)):
        raise LabError(f"the orders were not the same: {difference}", "run them again: experiments/compare.sh")
    return found


def _missing(cells: ComparedRuns) -> list[str]:
    return [f"{part}/{condition}" for condition, part in CELLS if (condition, part) not in cells]


def _summarise(cells: ComparedRuns) -> dict[str, Any]:
    figures = [cell.figures() for cell in cells.values()]
    first = next(iter(cells.values()))
    quick = first.run.head["quick"]
    judged = claims.judge(dict(zip(cells, figures, strict=True)), quick=quick)
    missing = _missing(cells)
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


def _edited(folder: Path, made: dict[str, bytes]) -> Iterator[str]:
    """Yield what is missing or is not, byte for byte, what the raw files give."""
    for name, content in made.items():
        path = folder / name
        if not path.exists():
            yield f"there is no {folder.name}/{name}"
        elif path.read_bytes() != content:
            yield f"{folder.parent.name}/{folder.name}/{name} is not what the raw files give{_line(path, content)}"


def _line(path: Path, content: bytes) -> str:
    """Say which line is the first that differs."""
    is_, should = (text.decode(errors="replace").splitlines() for text in (path.read_bytes(), content))
    pairs = enumerate(zip(is_, should, strict=False), start=1)
    return next((f": line {n} is `{a[:120]}` and not `{b[:120]}`" for n, (a, b) in pairs if a != b), "")
