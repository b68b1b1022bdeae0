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
def grade(folders: tuple[Path, ...], as_json: bool, as_csv: bool) -> None:
    """Grade the committed files of this repository, or of the repositories in DIR.

    It runs no service and needs no network. It makes every table and figure again from the raw files, with the code of
    *this* repository, and compares them byte for byte. It checks every invariant again. It compares each run with our
    own committed run: the loads and the faults, when and for how long; the script and the predictions. Then it judges
    the rubric (experiments/rubric.toml, 20 points).

    \b
    A class of clones, for instructors (more in docs/instructors.md):
        git clone URL clones/NAME           one for each student, from where they handed it in
        ./lab grade clones/* --csv          one line each: folder, points, failed lines, lines to read
        ./lab grade clones/NAME             all lines of one, with reasons and links to the evidence
        ./lab grade clones/NAME --json      the same for a program, with every broken rule

    Grade from your own copy of this repository, so that no student's code judges. Make the clones yourself: a .git
    folder from an archive may hold commands. Missing evidence is "cannot tell" and earns nothing. A changed script is
    shown as a diff, and not run; nothing else of a student is run either.

    It notices edited figures, deleted lines, runs of other experiments, quick runs presented as full runs, scripts
    changed after the run, fault windows that are too short, and invented runs whose seeds, ids or times do not fit
    together. It cannot notice raw files that a student wrote with this same code: ask that student to run an experiment
    while you watch.

    Exit status: 0 if every line passes, 1 if a line failed, 2 if a line cannot be told and none failed.
    """
    from lab.grading import output

    if as_json and as_csv:
        raise LabError("give --json or --csv, not both")
    given = folders or (ROOT,)
    if as_csv:
        sys.exit(worst_status(_print_csv(given)))
    grades = [output.graded(folder) for folder in given]
    if as_json:
        documents = [g.as_dict() for g in grades]
        click.echo(json.dumps(documents if folders[1:] else documents[0], indent=1, ensure_ascii=False))
    else:
        for g in grades:
            click.echo("\n".join(output.as_text(g)))
    sys.exit(worst_status([g.status for g in grades]))


def _print_csv(folders: tuple[Path, ...]) -> list[int]:
    """Print a line for each repository as soon as it is graded, and return their statuses."""
    from lab.grading import output

    table = csv.writer(sys.stdout, lineterminator="\n")
    table.writerow(output.COLUMNS)
    statuses = []
    for folder in folders:
        try:
            g = output.graded(folder)
            row, status = g.as_row(), g.status
        except LabError as error:
            row, status = [str(folder), "", "", "", "", f"cannot be graded: {error}"], 2
        table.writerow(row)
        sys.stdout.flush()
        statuses.append(status)
    return statuses
