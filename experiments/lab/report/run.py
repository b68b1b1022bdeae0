"""Makes `summary.json`, `report.md`, `plot.svg` and the series from the raw files of a run, and nothing else.

A section of the page appears when the run has something to say there.
"""

import hashlib
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab.analysis import latency, validity
from lab.checker import predictions
from lab.checker.invariants import check
from lab.growth.tables import grown
from lab.history.model import TRACE, Run, read
from lab.report import chaos, extracts, plot, sections, series
from lab.report.format import as_csv, as_json, page
from lab.verdict import FAIL, PASS, UNKNOWN, overall

SCHEMA_VERSION = 2
PLOT = "plot.svg"
MANY = ("comparison/", "chaos/", "broken/")  # places of runs of which few are opened
Summary = dict[str, Any]


def make(folder: Path) -> dict[str, Any]:
    """Write the report of a run beside its raw files and return its summary. Raises LabError."""
    run = read(folder)
    summary = summarise(run)
    if not _is_kept(run, summary):
        (folder / TRACE).unlink(missing_ok=True)
        run.trace.clear()
    made = files(run, summary)
    for name in (PLOT, *extracts.NAMES, *(f"{name}.csv" for name in series.TABLES)):
        (folder / name).unlink(missing_ok=True)
    for name, content in made.items():
        (folder / name).write_bytes(content)
    return json.loads(made["summary.json"])


def files(run: Run, summary: Summary | None = None, *, digest: str | None = None) -> dict[str, bytes]:
    """Return the files of a run's report.

    The summary holds the digest of the plot. With that digest the plot is not drawn again, which takes half of the
    time; with an empty one it is not drawn and not named.
    """
    summary = summary or summarise(run)
    made = {"report.md": write_report(run, summary).encode()}
    if _is_kept(run, summary):
        if digest is None:
            made[PLOT] = plot.drawn(run, summary["predictions"])
            digest = digest_of(made[PLOT])
        summary |= {"plot_sha256": digest} if digest else {}
    made["summary.json"] = as_json(summary).encode()
    return made | (tabled(run) if _tabled(run) else {})


def tabled(run: Run) -> dict[str, bytes]:
    """Return the series of a run, as CSV, and its lag tables and metrics."""
    tables = {f"{name}.csv": as_csv(rows).encode() for name, rows in series.tables(run).items()}
    return tables | {name: text.encode() for name, text in extracts.files(run).items()}


def draw(run: Run, folder: Path) -> None:
    """Write the plot of a run and its series, even where its report is kept without them."""
    for name, content in ({PLOT: plot.drawn(run, summarise(run)["predictions"])} | tabled(run)).items():
        (folder / name).write_bytes(content)


def digest_of(picture: bytes) -> str:
    """Return the digest of a plot."""
    return hashlib.sha256(picture).hexdigest()


def digest_in(summary: bytes) -> str | None:
    """Return the digest of the plot that a summary holds; None where it holds none."""
    try:
        return json.loads(summary)["plot_sha256"]
    except (ValueError, KeyError, TypeError, RecursionError):
        return None


def _is_kept(run: Run, summary: dict[str, Any]) -> bool:
    """Return whether plot and recorded messages are kept: not of one run of many that came out as expected."""
    expected = FAIL if "broken" in run.head else PASS
    return not run.head.get("place", "").startswith(MANY) or summary["verdict"] != expected


def _tabled(run: Run) -> bool:
    """Return whether the series are kept: not of a run that is one of many, of which few are opened."""
    return "place" not in run.head


def summarise(run: Run) -> dict[str, Any]:
    """Return the summary: what was run, where, what was measured, and the verdict."""
    phases = latency.of_phases(run)
    judged, doubt = predictions.judge(run, phases)
    trusted = validity.of_run(run, phases)
    invariants = [asdict(finding) for finding in check(run)]
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
        **({"grown": sizes[-1]["total"]} if (sizes := run.of_type("grown")) else {}),
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
        grown=grown(run),
        scheduled=chaos.scheduled(run),
        series=series.names(run),
        extracts=list(extracts.files(run)),
        plotted=_is_kept(run, summary),
        tabled=_tabled(run),
    )
