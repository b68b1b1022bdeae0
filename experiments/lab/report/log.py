"""What only a run over a log has: lag, the lag tables that the script asked for, reports of analytics."""

from collections.abc import Iterator
from typing import Any

from lab.analysis import lag, reports
from lab.analysis.lag import LagSeries
from lab.history.model import Run

MAX_ROWS = 20
COLUMNS = ("group", "topic", "partition", "current", "end", "lag", "lag_seconds", "state", "client")


def peaks(run: Run) -> list[tuple[Any, ...]]:
    """Return for each group its largest lag, when, the largest in one partition then, and the lag at the end."""
    rows = []
    for group in lag.groups(run):
        series = LagSeries(run, group)
        most, at = series.peak()
        largest = max(series.of(partition, at) for partition in series.partitions)
        rows.append((group, most, f"{at:.1f} s", largest, series.total(float("inf"))))
    return rows


def tables(run: Run) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
    """Yield each lag table that the script asked for, as `./lab lag` showed it."""
    for noted in run.of_type("lag table"):
        rows = [tuple(_cell(row.get(name)) for name in COLUMNS) for row in noted["rows"] if row["group"] != "lab-dlq"]
        yield f"`./lab lag` at {noted['at']:.1f} s: {noted['name']}", rows


def _cell(value: Any) -> Any:
    return f"{value:.1f}" if isinstance(value, float) else value


def counted(run: Run) -> tuple[list[str], list[tuple[Any, ...]]]:
    """Return the reports of analytics that were noted, side by side: those with one digest say the same."""
    noted = reports.reports(run)
    flat = [reports.flat(report) for report in noted.values()]
    names = list(dict.fromkeys(name for report in flat for name in report))
    rows = [(f"`{name}`", *(_figure(report.get(name)) for report in flat)) for name in names[:MAX_ROWS]]
    if len(names) > MAX_ROWS:
        rows.append((f"… {len(names) - MAX_ROWS} more", *("" for _ in noted)))
    rows.append(("digest", *(f"`{report['digest'][:12]}`" for report in noted.values())))
    return ["figure", *noted], rows if noted else []


def _figure(value: Any) -> Any:
    return f"{value:g}" if isinstance(value, float) else value
