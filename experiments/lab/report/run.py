"""Makes `summary.json`, `report.md`, `plot.svg` and the series from the raw files of a run, and nothing else.

A section of the page appears when the run has something to say there.
"""

from pathlib import Path
from typing import Any

from lab.analysis import lag, latency
from lab.checker import predictions
from lab.checker.invariants import check
from lab.history.model import Run, read
from lab.report import chaos, log, plot, queues
from lab.report.format import as_csv, as_json, page
from lab.verdict import UNKNOWN, overall

SCHEMA_VERSION = 2
KINDS = {
    "409": "`409` refused",
    "500": "`500` the order service failed",
    "reset": "connection broken",
    "refused": "connection refused",
    "timeout": "no reply in time",
}
KINDS_IN_A_CHAIN = {  # where the reply waits for the other services
    "502": "`502` inventory failed",
    "503": "`503` inventory cannot be reached",
    "504": "`504` inventory did not answer in time",
}


def make(folder: Path) -> dict[str, Any]:
    """Write the report of a run beside its raw files and return its summary. Raises LabError."""
    run = read(folder)
    summary = summarise(run)
    (folder / "summary.json").write_text(as_json(summary))
    (folder / "report.md").write_text(write_report(run, summary))
    for kind, rows in series(run).items():
        (folder / f"{kind}.csv").write_text(as_csv(rows))
    plot.draw(run, folder / "plot.svg")
    return summary


def series(run: Run) -> dict[str, list[dict[str, Any]]]:
    """Return the tables that are written as CSV, by their names."""
    found = {"completions": latency.per_second(run)}
    if run.of_type("depth"):
        found["depth"] = latency.depths(run)
    if run.of_type("lag"):
        found["lag"] = lag.rows(run)
    return found


def summarise(run: Run) -> dict[str, Any]:
    """Return the summary: what was run, where, what was measured, and the verdict."""
    phases = latency.of_phases(run)
    judged, doubt = predictions.judge(run, phases)
    invariants = [finding.as_dict() for finding in check(run)]
    head = run.head
    return {
        "schema_version": SCHEMA_VERSION,
        "experiment": head["experiment"],
        "part": head["part"],
        "title": head["title"] + (f" — broken on purpose: {head['broken']}" if "broken" in head else ""),
        "quick": head["quick"],
        "began_at": head["began_at"],
        "environment": head["environment"],
        "phases": phases,
        "orders": latency.of_orders(run),
        "windows": [{"service": w.service, "what": w.what, "since": w.since, "until": w.until} for w in run.windows],
        **({"chaos": chaos.figures(run)} if run.schedule else {}),
        "settled": (run.of_type("settled") or [None])[-1],
        "predictions": judged,
        **({"doubt": doubt} if doubt else {}),
        "invariants": invariants,
        "verdict": overall([each["verdict"] for each in (*judged, *invariants)] + ([UNKNOWN] if doubt else [])),
    }


def write_report(run: Run, summary: dict[str, Any]) -> str:
    """Return the report as Markdown."""
    report_columns, reports = log.counted(run)
    return page(
        "report/templates/run.md.j2",
        summary=summary,
        about=run.head["about"],
        ok=latency.word_for_ok(run),
        kinds=KINDS if run.asynchronous else KINDS | KINDS_IN_A_CHAIN,
        figures=_figures,
        counted=_counted,
        schedule=run.schedule,
        scheduled=chaos.scheduled(run),
        depths=queues.fullest(run),
        published=queues.published(run),
        dead_letters=queues.dead_letters(run),
        lags=log.peaks(run),
        lag_columns=log.COLUMNS,
        lag_tables=log.tables(run),
        report_columns=report_columns,
        reports=reports,
        series=list(series(run)),
        again=run.head.get("again", f"experiments/{summary['experiment']}.sh"),
    )


def _figures(values: dict[str, float | None]) -> str:
    return "; ".join(f"`{name}` {'–' if value is None else f'{value:,.6g}'}" for name, value in values.items())


def _counted(counts: dict[str, int]) -> str:
    return ", ".join(f"{count:,} {what}" for what, count in counts.items())
