"""The commands of `experiments/broken.sh`: list the broken versions, judge their runs, make their diffs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lab.cli.output import show
from lab.paths import relative
from lab.runtime import broken as broken_versions
from lab.verdict import EXIT_STATUS, PASS, overall

if TYPE_CHECKING:  # what takes seconds to import is imported where it is used
    from lab.broken import Judged


@click.command(hidden=True)
@click.argument("names", nargs=-1)
def list_broken(names: tuple[str, ...]) -> None:
    """Print name, part and experiment of each broken version, or of those NAMES."""
    for name in names or broken_versions.names():
        version = broken_versions.named(name)
        click.echo(f"{version.name} {version.part} {version.story}")


@click.command(hidden=True)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("names", nargs=-1)
def broken_report(folder: Path, names: tuple[str, ...]) -> None:
    """Judge all broken versions, or those NAMES, by their runs below FOLDER, and write the report."""
    from lab.broken import judge, write_report

    found = {name: judge(broken_versions.named(name), folder / name) for name in broken_versions.names()}
    asked = [found[name] for name in names or found]
    there = [judged for name, judged in found.items() if judged in asked or (folder / name).exists()]
    (folder / "report.md").write_text(write_report(there))
    show(["version", "found by", "the right version", "verdict"], map(_row, asked), width=150, show_lines=True)
    click.echo(f"report: {relative(folder)}/report.md")
    sys.exit(EXIT_STATUS[overall([j.verdict for j in asked])])


def _row(j: "Judged") -> list[str]:
    verdict = j.verdict if j.verdict == PASS else f"{j.verdict}: {j.why}"
    return [j.version.name, "\n".join(j.failed) or "nothing", j.right, verdict]


@click.command(hidden=True)
def diffs() -> None:
    """Make the diff in the page of each broken version again."""
    for name in broken_versions.names():
        page = broken_versions.FOLDER / f"{name}.md"
        page.write_text(broken_versions.with_diff(page.read_text(), broken_versions.named(name)))
