"""`./lab grade`: grades repositories from what is committed in them, and prints it."""

import csv
import io
import json
import sys
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lab.errors import LabError
from lab.paths import ROOT
from lab.verdict import FAIL, PASS, UNKNOWN

if TYPE_CHECKING:  # what takes seconds to import is imported where it is used
    from lab.grading.grade import Graded
    from lab.grading.rubric import Judged

MARK = {PASS: "pass", FAIL: "FAIL", UNKNOWN: "cannot tell"}
STATUS = {PASS: 0, FAIL: 1, UNKNOWN: 2}
COLUMNS = ("folder", "points", "of", "failed", "cannot tell", "notices")


@dataclass(frozen=True)
class Grade:
    """What was found in one repository."""

    folder: str
    commit: str
    runs: list["Graded"]
    lines: list["Judged"]
    changes: list[str]

    @property
    def points(self) -> float:
        """The points that are earned."""
        return sum(line.points for line in self.lines if line.verdict == PASS)

    @property
    def of(self) -> float:
        """The points that can be earned."""
        return sum(line.points for line in self.lines)

    @property
    def status(self) -> int:
        """0 if all is well, 1 if something failed, 2 if something cannot be told and nothing failed."""
        verdicts = {line.verdict for line in self.lines} | {run.verdict for run in self.runs}
        return STATUS[next((v for v in (FAIL, UNKNOWN) if v in verdicts), PASS)]

    @property
    def notices(self) -> list[str]:
        """What an instructor should look at: evidence that is not sound, and changes that are not committed."""
        told = [f"{run.folder}: {run.why}" for run in self.runs if run.verdict != PASS]
        if self.changes:
            more = f" and {len(self.changes) - 1} more" if self.changes[1:] else ""
            told.append(f"not committed, so not graded: {self.changes[0]}{more}")
        return told

    def ids(self, verdict: str) -> list[str]:
        """Return the lines of the rubric with this verdict."""
        return [line.id for line in self.lines if line.verdict == verdict]


@click.command()
@click.argument("folders", nargs=-1, metavar="[DIR]...", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Everything, as one JSON document.")
@click.option("--csv", "as_csv", is_flag=True, help="One line for each DIR: points, lines that failed, lines to read.")
def grade(folders: tuple[Path, ...], as_json: bool, as_csv: bool) -> None:
    """Grade this repository, or the repositories in DIR, from what is committed in them.

    It runs no service and needs no network. Every table and figure is made again from the raw files, with the code of
    *this* repository, and compared byte for byte. Every invariant is checked again. Each run is held against our own
    committed run: what it loads and disturbs, when and for how long; its script and its predictions against ours. Then
    the rubric (experiments/rubric.toml, 20 points) is judged.

    \b
    A class of clones, for instructors (more in docs/instructors.md):
        git clone URL clones/NAME           one for each student, from where they handed it in
        ./lab grade clones/* --csv          one line each: folder, points, failed lines, what to look at
        ./lab grade clones/NAME             all lines of one, with reasons and links to the evidence
        ./lab grade clones/NAME --json      the same for a program, with every broken rule

    Grade from your own copy of this repository, so that the students' code is not what judges them, and make the clones
    yourself: a .git folder that came in an archive may hold commands. What is missing is "cannot tell" and earns
    nothing. A script that was changed is shown as a diff, and not run; nor is anything else of a student's.

    It notices figures that were edited, lines that were deleted, runs of other experiments or with --quick handed in as
    full ones, scripts changed after the run, outages that were too short, and invented runs whose seeds, ids or
    times do not fit together. It cannot notice someone who writes the raw files with this very code: ask that
    student to run an experiment while you watch.

    Exit status: 0 all pass, 1 something failed, 2 something cannot be told and nothing failed.
    """
    if as_json and as_csv:
        raise LabError("give --json or --csv, not both")
    given = folders or (ROOT,)
    if as_csv:
        sys.exit(_print_csv(given))
    grades = [graded(folder) for folder in given]
    if as_json:
        documents = [as_document(g) for g in grades]
        click.echo(json.dumps(documents if folders[1:] else documents[0], indent=1, ensure_ascii=False))
    else:
        for g in grades:
            _print(g)
    sys.exit(_worst(g.status for g in grades))


def graded(folder: Path) -> Grade:
    """Grade the repository of a folder. Raises LabError."""
    from lab.grading import grade as grading
    from lab.grading import rubric
    from lab.grading.repository import Repository

    repository = Repository(folder)
    runs = grading.graded(repository)
    lines = rubric.judge(repository, runs)
    return Grade(str(folder), repository.commit, runs, lines, repository.changes())


def _worst(statuses: Iterable[int]) -> int:
    """Return 1 if there is one, else 2, else 0."""
    found = set(statuses)
    return next((status for status in (1, 2) if status in found), 0)


def as_document(g: Grade) -> dict[str, Any]:
    """Return a grade as JSON has it."""
    return {
        "folder": g.folder,
        "commit": g.commit,
        "points": g.points,
        "of": g.of,
        "status": g.status,
        "lines": [line.as_dict() for line in g.lines],
        "runs": [run.as_dict() for run in g.runs],
        "uncommitted": g.changes,
    }


def _print_csv(folders: tuple[Path, ...]) -> int:
    """Print a line for each repository as soon as it is graded, and return the worst status."""
    click.echo(_csv_line(COLUMNS))
    statuses = []
    for folder in folders:
        try:
            g = graded(folder)
        except LabError as error:
            click.echo(_csv_line((str(folder), "", "", "", "", f"cannot be graded: {error}")))
            statuses.append(2)
            continue
        cells = (f"{g.points:g}", f"{g.of:g}", " ".join(g.ids(FAIL)), " ".join(g.ids(UNKNOWN)), " | ".join(g.notices))
        click.echo(_csv_line((g.folder, *cells)))
        statuses.append(g.status)
    return _worst(statuses)


def _csv_line(cells: tuple[str, ...]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="").writerow(cells)
    return out.getvalue()


def _print(g: Grade) -> None:
    sound = sum(run.verdict == PASS for run in g.runs)
    click.echo(f"{g.folder} at {g.commit}: {sound} of {len(g.runs)} runs and benchmarks are what their scripts make")
    for line in [*_told(g), ""]:
        click.echo(line)
    for line in g.lines:
        click.echo(f"{line.id:4} {line.points:>4g}  {MARK[line.verdict]:11}  {line.says}")
        click.echo(f"{'':24}{line.reason}\n{'':24}→ {', '.join(line.evidence)}")
    click.echo(f"\n{_totals(g)}")


def _told(g: Grade) -> list[str]:
    """Return what is wrong with the evidence, rule by rule, and what is not graded."""
    told = []
    for run in g.runs:
        for broken in run.broken:
            told.append(f"  {MARK[broken.verdict]}  {run.folder}: {broken.rule}")
            told += [f"        {sentence}" for sentence in broken.sentences]
    told += [f"  not committed, so not graded: {path}" for path in g.changes[:5]]
    return told + ([f"  … and {len(g.changes) - 5} more"] if g.changes[5:] else [])


def _totals(g: Grade) -> str:
    parts = dict.fromkeys(line.part for line in g.lines)
    each = ", ".join(f"{part} {_sum(g, part, PASS):g} of {_sum(g, part, *STATUS):g}" for part in parts)
    open_ = sum(line.points for line in g.lines if line.verdict == UNKNOWN)
    doubt = f"; {open_:g} cannot be told" if open_ else ""
    return f"{g.points:g} of {g.of:g} points ({each}){doubt}"


def _sum(g: Grade, part: str, *verdicts: str) -> float:
    return sum(line.points for line in g.lines if line.part == part and line.verdict in verdicts)
