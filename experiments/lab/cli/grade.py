"""`./lab grade`: grades repositories from what is committed in them, and prints it."""

import functools
import json
import sys
from pathlib import Path

import click

from lab.cli.output import say
from lab.errors import LabError
from lab.paths import ROOT
from lab.verdict import worst_status


@click.command()
@click.argument("folders", nargs=-1, metavar="[DIR]...", type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--json", "shown", flag_value="json", help="Everything, as one JSON document.")
@click.option("--csv", "shown", flag_value="plain", help="One line for each DIR: points, failed lines, lines to read.")
@click.option(
    "--canvas", "shown", flag_value="canvas", help="The CSV that Canvas imports; a DIR is named as its login."
)
@click.option("--moodle", "shown", flag_value="moodle", help="The CSV that Moodle imports; a DIR is named as its user.")
@click.option("--gradescope", "shown", flag_value="gradescope", help="results.json of Gradescope, for one DIR.")
@click.option("--similar", "shown", flag_value="similar", help="Only the pairs of DIRs that have the same runs.")
@click.option(
    "--html", "page", type=click.Path(path_type=Path), help="A page of the class, with plots, in this folder."
)
@click.option("--plots", is_flag=True, help="Draw every plot again, and do not trust the digest in its summary.")
def grade(folders: tuple[Path, ...], shown: str | None, page: Path | None, plots: bool) -> None:
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
    from lab.grading import class_page, classroom, gradebooks, output, work

    if shown == "gradescope" and folders[1:]:
        raise LabError("--gradescope is for one DIR", "Gradescope starts it once for each student")
    drawn = functools.partial(class_page.pictures, page) if page else None
    grades = classroom.graded(folders or (ROOT,), work.do, work.over_all, pictures=drawn, redraw=plots, say=say)
    if page:
        say(f"page: {class_page.write(page, grades)}")
    if shown in gradebooks.KINDS:
        click.echo(gradebooks.as_csv(grades, shown), nl=False)
    elif shown == "gradescope":
        click.echo(gradebooks.as_gradescope(grades[0]), nl=False)
    elif shown == "similar":
        click.echo("\n".join(output.as_pairs(grades)))
    elif shown == "json":
        documents = [output.as_dict(grade) for grade in grades]
        click.echo(json.dumps(documents if folders[1:] else documents[0], indent=1, ensure_ascii=False))
    else:
        for each in () if page else grades:
            click.echo(output.as_text(each), nl=False)
    sys.exit(worst_status([each.status for each in grades]))


@click.command()
@click.argument("folder", type=click.Path(path_type=Path))
def handout(folder: Path) -> None:
    """Make the repository that students get in FOLDER: our committed files without our results, in one commit."""
    from lab.grading import handout as handouts

    files = handouts.make(folder)
    click.echo(f"{folder}: {files} files, without results/, in one commit")
