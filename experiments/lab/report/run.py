"""Makes `summary.json`, `report.md`, `plot.svg` and the series from the raw files of a run, and nothing else.

A section of the page appears when the run has something to say there.
"""

from pathlib import Path
from typing import Any

from lab.analysis import latency, validity
from lab.checker import predictions
from lab.checker.invariants import check
from lab.history.model import Run, read
from lab.report import chaos, plot, sections, series
from lab.report.format import as_csv, as_json, page
from lab.verdict import FAIL, PASS, UNKNOWN, overall

SCHEMA_VERSION = 2
PLOT = "plot.svg"


def make(folder: Path) -> dict[str, Any]:
    """Write the report of a run beside its raw files and return its summary. Raises LabError."""
    run = read(folder)
    summary = summarise(run)
    (folder / "summary.json").write_text(as_json(summary))
    (folder / "report.md").write_text(write_report(run, summary))
    for name in (PLOT, *(f"{name}.csv" for name in series.TABLES)):
        (folder / name).unlink(missing_ok=True)
    draw(run, folder, plotted=_plotted(run, summary), tabled=_tabled(run))
    return summary


def draw(run: Run, folder: Path, *, plotted: bool = True, tabled: bool = True) -> None:
    """Write the plot of a run and its series, even where its report is kept without them."""
    if plotted:
        plot.draw(run, folder / PLOT)
    for name, rows in series.tables(run).items() if tabled else ():
        (folder / f"{name}.csv").write_text(as_csv(rows))


def _plotted(run: Run, summary: dict[str, Any]) -> bool:
    """Return whether the plot is kept: not of one of many that came out as expected."""
    of_many = run.head.get("place", "").startswith(("broken/", "chaos/"))
    return not of_many or summary["verdict"] != (FAIL if "broken" in run.head else PASS)


def _tabled(run: Run) -> bool:
    """Return whether the series are kept: not of a run that is one of many, of which few are opened."""
    return "place" not in run.head


def summarise(run: Run) -> dict[str, Any]:
    """Return the summary: what was run, where, what was measured, and the verdict."""
    phases = latency.of_phases(run)
    judged, doubt = predictions.judge(run, phases)
    trusted = validity.of_run(run, phases)
    invariants = [finding.as_dict() for finding in check(run)]
    counted = [each["verdict"] for each in (*(() if trusted["doubt"] else judged), *invariants)]
    doubt = " ".join(filter(None, (trusted.pop("doubt"), doubt)))
    head = run.head
    return {
        "schema_version": SCHEMA_VERSION,
        "experiment": head["experiment"],
        "part": head["part"],
        "title": head["title"] + (f" — broken version {head['broken']}" if "broken" in head else ""),
        "quick": head["quick"],
        "began_at": head["began_at"],
        "environment": head["environment"],
        "validity": trusted,
        "phases": phases,
        "orders": latency.of_orders(run),
        "windows": [{"service": w.service, "what": w.what, "since": w.since, "until": w.until} for w in run.windows],
        **({"chaos": chaos.figures(run, run.schedule)} if run.schedule else {}),
        "settled": (run.of_type("settled") or [None])[-1],
        "predictions": judged,
        **({"doubt": doubt} if doubt else {}),
        "invariants": invariants,
        "verdict": overall(counted + ([UNKNOWN] if doubt else [])),
    }


def write_report(run: Run, summary: dict[str, Any]) -> str:
    """Return the report as Markdown."""
    return page(
        "report/templates/run.md.j2",
        run=run,
        summary=summary,
        ok=latency.word_for_ok(run),
        sections=sections,
        scheduled=chaos.scheduled(run),
        series=series.names(run),
        plotted=_plotted(run, summary),
        tabled=_tabled(run),
    )
