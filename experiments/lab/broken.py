"""The commands of `experiments/broken.sh`: which versions there are, whether each is caught, and their pages' diffs."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lab import variants
from lab.check import PASS
from lab.places import shown

if TYPE_CHECKING:  # what takes seconds to import is imported where it is used
    from lab.caught import Judged


@click.command(hidden=True)
@click.argument("names", nargs=-1)
def versions(names: tuple[str, ...]) -> None:
    """Print name, part and story of each version that is broken on purpose, or of those named."""
    for name in names or variants.names():
        variant = variants.named(name)
        click.echo(f"{variant.name} {variant.part} {variant.story}")


@click.command(hidden=True)
@click.argument("folder", type=click.Path(path_type=Path))
@click.argument("names", nargs=-1)
def caught(folder: Path, names: tuple[str, ...]) -> None:
    """Judge all versions, or those NAMES, by their runs below FOLDER, and write its report of all that are there."""
    from lab import report
    from lab.caught import judge, write_report

    found = {name: judge(variants.named(name), folder / name) for name in variants.names()}
    asked = [found[name] for name in names or found]
    there = [judged for name, judged in found.items() if judged in asked or (folder / name).exists()]
    (folder / "report.md").write_text(write_report(there))
    _show(asked)
    click.echo(f"report: {shown(folder)}/report.md")
    sys.exit(report.EXIT_STATUS[report.verdict([j.verdict for j in asked])])


def _show(judged: list["Judged"]) -> None:
    from rich.console import Console
    from rich.table import Table

    rows = Table("version", "caught by", "the right version", "verdict", show_lines=True)
    for j in judged:
        caught = "\n".join(j.caught) or "nothing"
        rows.add_row(j.variant.name, caught, j.right, j.verdict if j.verdict == PASS else f"{j.verdict}: {j.why}")
    Console(width=150).print(rows)


@click.command(hidden=True)
def diffs() -> None:
    """Make the diff in the page of each version that is broken on purpose anew."""
    for name in variants.names():
        page = variants.FOLDER / f"{name}.md"
        page.write_text(variants.with_diff(page.read_text(), variants.named(name)))
