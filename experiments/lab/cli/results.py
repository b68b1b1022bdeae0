"""The commands on results: make reports again, show verdicts, run benchmarks."""

import functools
import sys
from pathlib import Path

import click


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path, exists=True, file_okay=False))
def report(folders: tuple[Path, ...]) -> None:
    """Make the reports in FOLDERS again from their raw data, byte for byte."""
    from lab.report import run as reports
    from lab.report.format import verdict_sentence
    from lab.verdict import EXIT_STATUS

    worst = 0
    for folder in folders:
        summary = reports.make(folder)
        click.echo(f"{folder}: {summary['verdict']}: {verdict_sentence(summary)}")
        worst = max(worst, EXIT_STATUS[summary["verdict"]])
    sys.exit(worst)


@click.command()
@click.argument("folders", nargs=-1, required=True, type=click.Path(path_type=Path))
def summary(folders: tuple[Path, ...]) -> None:
    """Show the verdicts of the runs in FOLDERS in one table; the exit status is the worst of them."""
    from lab.report.overview import show

    sys.exit(show(folders))


@click.command(hidden=True)
@click.argument("folder", type=click.Path(path_type=Path, exists=True, file_okay=False))
def chaos_report(folder: Path) -> None:
    """Make the page of all chaos runs in FOLDER, from their summaries."""
    from lab.report import chaos

    chaos.make(folder)


@click.command()
@click.argument("what")
@click.option("--quick", is_flag=True, help="A short run; written under .lab/ and not to results/.")
def bench(what: str, quick: bool) -> None:
    """Measure speed and memory.

    WHAT is `sync-rest`, `async-rabbitmq`, `streaming-kafka`, or `load` for the load generator itself.
    """
    from benchmarks import run as benches

    benches.run(what, quick=quick, say=functools.partial(click.echo, err=True))
