"""The commands on results: make reports again, show verdicts, run benchmarks, judge the broken versions."""

import functools
import sys
from pathlib import Path

import click

from lab.cli import output
from lab.paths import RESULTS, ROOT, STATE_DIR, relative
from lab.runtime import broken as broken_versions
from lab.verdict import EXIT_STATUS, PASS, overall, worst_status


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
@click.option("--html", is_flag=True, help="Write report.html instead: one file that plays the run in any browser.")
def report(folders: tuple[Path, ...], html: bool) -> None:
    """Make the reports in FOLDERS again from their raw data, byte for byte."""
    if html:
        from lab.live.html import write

        for folder in folders:
            click.echo(relative(write(folder.resolve())))
        return
    from lab.report import run as reports
    from lab.report.format import verdict_sentence

    statuses = []
    for folder in folders:
        summary = reports.make(folder)
        click.echo(f"{folder}: {summary['verdict']}: {verdict_sentence(summary)}")
        if summary["part"] == "streaming-kafka" and "LOG-1" not in [each["id"] for each in summary["invariants"]]:
            click.echo("  LOG-1 is not judged: this run did not keep what was in the log")
        statuses.append(EXIT_STATUS[summary["verdict"]])
    sys.exit(worst_status(statuses))


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
def plot(folders: tuple[Path, ...]) -> None:
    """Draw the plots of the runs in FOLDERS and write their series as CSV, also for runs that are kept without."""
    from lab.history.model import read
    from lab.report import run as reports

    for folder in folders:
        reports.draw(read(folder), folder)
        click.echo(f"{folder}: plot.svg, and its series as CSV")


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
def summary(folders: tuple[Path, ...]) -> None:
    """Show the verdicts of the runs in FOLDERS in one table; the exit status is the worst of them."""
    from lab.report import index

    rows = index.rows(folders)
    output.show(["experiment", "verdict", "found"], rows, width=120)
    sys.exit(worst_status([EXIT_STATUS[verdict] for _, verdict, _ in rows]))


@click.command(hidden=True)
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def chaos_report(folder: Path) -> None:
    """Make the page of all chaos runs in FOLDER, from their summaries."""
    from lab.report import chaos, index

    (folder / "report.md").write_text(chaos.page_of(index.read(folder)))


@click.command()
@click.argument("what")
@click.option("--quick", is_flag=True, help="A short run; written under .lab/ and not to results/.")
def bench(what: str, quick: bool) -> None:
    """Measure speed and memory.

    WHAT is `sync-rest`, `async-rabbitmq`, `streaming-kafka`, or `load` for the load generator itself.
    """
    from benchmarks import run as benches

    benches.run(what, quick=quick, say=functools.partial(click.echo, err=True))


@click.command()
@click.option("--quick", is_flag=True, help="The quick runs under .lab/, not those in results/.")
def compare(quick: bool) -> None:
    """Compare the runs of experiments/compare.sh.

    Makes the matrix, the page and the plots in results/comparison/ from the runs below it, byte for byte the same each
    time. ./lab grade checks them.

    Exit status: 0 all pass, 1 something failed, 2 something cannot be told.
    """
    from lab.comparison import compare as comparison

    home = (STATE_DIR / "quick" if quick else RESULTS) / "comparison"
    sys.exit(EXIT_STATUS[comparison.make(home, click.echo)])


@click.command()
@click.option(
    "--check",
    is_flag=True,
    help="Change nothing; name the pages that are not up to date, and exit with 1 if there is one.",
)
def readme(check: bool) -> None:
    """Fill the quoted tables and outputs of all pages, make results/README.md and the table of promises.

    The text between a `quote` comment and its `end` comment comes from results/. See experiments/lab/docs.py.
    """
    from lab import docs

    stale = list(docs.differences(ROOT))
    for page, text, what in stale:
        if check:
            click.echo(f"{page.relative_to(ROOT)} is not up to date: {what}")
        else:
            page.parent.mkdir(exist_ok=True)  # results/, where nothing was run yet
            page.write_text(text)
            click.echo(f"{page.relative_to(ROOT)} is made again: {what}")
    if not stale:
        click.echo("every page is up to date")
    sys.exit(1 if check and stale else 0)


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
    verdicts = [j.verdict if j.verdict == PASS else f"{j.verdict}: {j.why}" for j in asked]
    rows = [
        (j.version.name, "\n".join(j.failed) or "nothing", j.right, v) for j, v in zip(asked, verdicts, strict=True)
    ]
    output.show(["version", "found by", "the right version", "verdict"], rows, width=150, show_lines=True)
    click.echo(f"report: {relative(folder)}/report.md")
    sys.exit(EXIT_STATUS[overall([j.verdict for j in asked])])


@click.command(hidden=True)
def diffs() -> None:
    """Make the diff in the page of each broken version again."""
    for name in broken_versions.names():
        page = broken_versions.FOLDER / f"{name}.md"
        page.write_text(broken_versions.with_diff(page.read_text(), broken_versions.named(name)))
