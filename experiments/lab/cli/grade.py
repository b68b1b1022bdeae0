"""`./lab grade`: grades repositories from what is committed in them, and prints it."""

import csv
import json
import sys
from pathlib import Path

import click

from lab.errors import LabError
from lab.paths import ROOT
from lab.verdict import worst_status


@click.command()
@click.argument("folders", nargs=-1, metavar="[DIR]...", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "as_json", is_flag=True, help="Everything, as one JSON document.")
@click.option("--csv", "as_csv", is_flag=True, help="One line for each DIR: points, lines that failed, lines to read.")
@click.option("--plots", is_flag=True, help="Draw every plot again, and do not trust the digest in its summary.")
def grade(folders: tuple[Path, ...], as_json: bool, as_csv: bool, plots: bool) -> None:
    """Grade the committed files of this repository, or of the repositories in DIR.

    It runs no service, and nothing of a student. It makes every table and figure again from the raw files, with the
    code of *this* repository. It checks every invariant again. It compares each run with our own committed run: loads,
    faults, times, script and predictions. Then it judges the rubric (experiments/rubric.toml, 20 points).

    \b
    A class of clones, for instructors (more in docs/instructors.md):
        git clone URL clones/NAME           one for each student, from where they handed it in
        ./lab grade clones/* --csv          one line each: folder, points, failed lines, lines to read
        ./lab grade clones/NAME             all lines of one, with reasons and links to the evidence
        ./lab grade clones/NAME --json      the same for a program, with every broken rule

    Grade from your own copy of this repository, so that no student's code judges. DIR must be the root of a repository.
    A run that came with the hand-out earns nothing. A run that does not do what ours does is "not this experiment", and
    a changed script is shown as a diff: read it, and decide. Pages of older code are a notice; points come from the
    raw files. Plots are compared by the digest in the summary; --plots draws them again.

    It cannot notice raw files that a student wrote with this same code: ask that student to run an experiment while you
    watch.

    Exit status: 0 if every line passes, 1 if a line failed, 2 if a line cannot be told and none failed.
    """
    from lab.grading import classroom, output, work

    if as_json and as_csv:
        raise LabError("give --json or --csv, not both")
    grades = classroom.graded(folders or (ROOT,), classroom.Work(work.do, work.over_all), redraw=plots, say=_say)
    if as_csv:
        table = csv.writer(sys.stdout, lineterminator="\n")
        table.writerows([output.COLUMNS, *map(output.as_row, grades)])
    elif as_json:
        documents = [output.as_dict(grade) for grade in grades]
        click.echo(json.dumps(documents if folders[1:] else documents[0], indent=1, ensure_ascii=False))
    else:
        for grade in grades:
            click.echo("\n".join(output.as_text(grade)))
    sys.exit(worst_status([grade.status for grade in grades]))


def _say(text: str) -> None:
    click.echo(text, err=True)
