"""`./lab grade`: grades repositories from what is committed in them, and prints it."""

import csv
import json
import sys
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from lab.errors import LabError
from lab.paths import ROOT
from lab.verdict import EXIT_STATUS, FAIL, PASS, UNKNOWN, overall

if TYPE_CHECKING:  # what takes seconds to import is imported where it is used
    from lab.grading.grade import Graded
    from lab.grading.rubric import Judged

MARK = {PASS: "pass", FAIL: "FAIL", UNKNOWN: "cannot tell"}
COLUMNS = ("folder", "points", "of", "failed", "cannot tell", "notices")


@dataclass(frozen=True)
class Grade:
    """What was found in one repository."""

    folder: str
    commit: str
    runs: list["Graded"]
    lines: list["Judged"]
    changes: list[str]

    def points(self, *verdicts: str, part: str = "") -> float:
        """Return the points of the lines with these verdicts, or with any; of one part, or of all."""
        return sum(r.points for r in self.lines if r.verdict in (verdicts or MARK) and part in ("", r.part))

    @property
    def status(self) -> int:
        """0 if every line passes, 1 if a line failed, 2 if a line cannot be told and none failed."""
        return EXIT_STATUS[overall([judged.verdict for judged in (*self.lines, *self.runs)])]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "folder": self.folder,
            "commit": self.commit,
            "points": self.points(PASS),
            "of": self.points(),
            "status": self.status,
            "lines": [asdict(line) for line in self.lines],
            "runs": [run.as_dict() for run in self.runs],
            "uncommitted": self.changes,
        }

    def as_row(self) -> list[str]:
        """Return it as CSV has it; the notices are evidence that is not sound, and changes that are not committed."""
        ids = [" ".join(line.id for line in self.lines if line.verdict == verdict) for verdict in (FAIL, UNKNOWN)]
        notices = [f"{run.folder}: {run.why}" for run in self.runs if run.verdict != PASS]
        if self.changes:
            more = f" and {len(self.changes) - 1} more" if self.changes[1:] else ""
            notices.append(f"not committed, so not graded: {self.changes[0]}{more}")
        return [self.folder, f"{self.points(PASS):g}", f"{self.points():g}", *ids, " | ".join(notices)]


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
        sys.exit(_worst(_print_csv(given)))
    grades = [graded(folder) for folder in given]
    if as_json:
        documents = [g.as_dict() for g in grades]
        click.echo(json.dumps(documents if folders[1:] else documents[0], indent=1, ensure_ascii=False))
    else:
        for g in grades:
            _print(g)
    sys.exit(_worst([g.status for g in grades]))


def graded(folder: Path) -> Grade:
    """Grade the repository of a folder. Raises LabError."""
    from lab.grading import grade as grading
    from lab.grading import rubric
    from lab.grading.repository import Repository

    repository = Repository(folder)
    runs = grading.graded(repository)
    return Grade(str(folder), repository.commit, runs, rubric.judge(repository, runs), repository.changes())


def _worst(statuses: list[int]) -> int:
    """Return 1 if there is one, else 2, else 0."""
    return min(statuses, key=(1, 2, 0).index)


def _print_csv(folders: tuple[Path, ...]) -> list[int]:
    """Print a line for each repository as soon as it is graded, and return their statuses."""
    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(COLUMNS)
    statuses = []
    for folder in folders:
        try:
            g = graded(folder)
            row, status = g.as_row(), g.status
        except LabError as error:
            row, status = [str(folder), "", "", "", "", f"cannot be graded: {error}"], 2
        table.writerow(row)
        sys.stdout.flush()
        statuses.append(status)
    return statuses


def _print(g: Grade) -> None:
    """Print what is wrong with the evidence, what is not graded, each line of the rubric, and the sums."""
    sound = sum(run.verdict == PASS for run in g.runs)
    click.echo(f"{g.folder} at {g.commit}: {sound} of {len(g.runs)} runs and benchmarks are what their scripts make")
    for run in g.runs:
        for broken in run.broken:
            click.echo(f"  {MARK[broken.verdict]}  {run.folder}: {broken.rule}")
            for sentence in broken.sentences:
                click.echo(f"        {sentence}")
    for path in g.changes[:5]:
        click.echo(f"  not committed, so not graded: {path}")
    click.echo(f"  … and {len(g.changes) - 5} more\n" if g.changes[5:] else "")
    for line in g.lines:
        click.echo(f"{line.id:4} {line.points:>4g}  {MARK[line.verdict]:11}  {line.says}")
        click.echo(f"{'':24}{line.reason}\n{'':24}→ {', '.join(line.evidence)}")
    parts = dict.fromkeys(line.part for line in g.lines)
    each = ", ".join(f"{part} {g.points(PASS, part=part):g} of {g.points(part=part):g}" for part in parts)
    open_ = g.points(UNKNOWN)
    click.echo(
        f"\n{g.points(PASS):g} of {g.points():g} points ({each}){f'; {open_:g} cannot be told' if open_ else ''}"
    )
