"""`./lab readme`: brings the project's pages up to date with the results."""

import sys
from collections.abc import Iterator
from pathlib import Path

import click

from lab import docs
from lab.paths import ROOT
from lab.report import index as results_index

PAGES = ("README.md", "*/README.md", "docs/*.md", "experiments/broken/*.md")
INDEX = "results/README.md"


@click.command()
@click.option(
    "--check",
    is_flag=True,
    help="Change nothing; name the pages that are not up to date, and exit with 1 if there is one.",
)
def readme(check: bool) -> None:
    """Fill the quoted tables and outputs of all pages, and make results/README.md.

    The text between a `quote` comment and its `end` comment comes from results/. See experiments/lab/docs.py.
    """
    stale = list(differences(ROOT))
    for page, text, what in stale:
        if check:
            click.echo(f"{page.relative_to(ROOT)} is not up to date: {what}")
        else:
            page.write_text(text)
            click.echo(f"{page.relative_to(ROOT)} is made again: {what}")
    if not stale:
        click.echo("every page is up to date")
    sys.exit(1 if check and stale else 0)


def differences(root: Path) -> Iterator[tuple[Path, str, str]]:
    """Yield each page that is not up to date: its path, what it should say, and what differs. Raises LabError."""
    index = root / INDEX
    made = results_index.write(index.parent)
    if not index.exists() or index.read_text() != made:
        yield index, made, "the index of all runs"
    for page in pages(root):
        text = page.read_text()
        made = docs.filled(text, page, root)
        if made != text:
            pairs = zip(docs.blocks(text), docs.blocks(made), strict=True)
            yield page, made, ", ".join(str(is_) for is_, should in pairs if is_ != should)


def pages(root: Path) -> list[Path]:
    """Return the pages that may quote."""
    return sorted({page for pattern in PAGES for page in root.glob(pattern)} - {root / INDEX})
