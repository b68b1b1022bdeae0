"""The sections that only a run over a log has: lag, the lag tables that the script asked for, reports of analytics."""

from typing import Any

from lab.analysis import lag, reports
from lab.analysis.lag import LagSeries
from lab.history.model import Run
from lab.report.format import table

MOST_ROWS = 20
COLUMNS = ("group", "topic", "partition", "current", "end", "lag", "lag_seconds", "state", "client")


def lag_section(run: Run) -> list[str]:
    """Return what each group had not read yet, where groups were watched."""
    groups = lag.groups(run)
    if not groups:
        return []
    text = (
        "Seen five times a second (`lag.csv`, one line when a partition's figures changed): records that a group has "
        "not read yet."
    )
    rows = [_peak_row(group, LagSeries(run, group)) for group in groups]
    columns = ("group", "largest lag", "at", "in one partition", "at the end")
    return ["## Lag", text, table(columns, rows), *_tables(run)]


def _peak_row(group: str, series: LagSeries) -> tuple[str, ...]:
    most, at = series.peak()
    largest = max(series.of(partition, at) for partition in series.partitions)
    return group, f"{most:,}", f"{at:.1f} s", f"{largest:,}", f"{series.total(float('inf')):,}"


def _tables(run: Run) -> list[str]:
    """Return each lag table that the script asked for, as `./lab lag` showed it."""
    shown = []
    for noted in run.of_type("lag table"):
        rows = [tuple(_cell(row.get(name)) for name in COLUMNS) for row in noted["rows"] if row["group"] != "lab-dlq"]
        summary = f"`./lab lag` at {noted['at']:.1f} s: {noted['name']}"
        shown.append(f"<details><summary>{summary}</summary>\n\n{table(COLUMNS, rows)}\n\n</details>")
    return shown


def _cell(value: Any) -> str:
    if value is None:
        return "–"
    return f"{value:,}" if isinstance(value, int) else f"{value:.1f}" if isinstance(value, float) else str(value)


def reports_section(run: Run) -> list[str]:
    """Return the reports of analytics that were noted, side by side: those with one digest say the same."""
    noted = reports.reports(run)
    if not noted:
        return []
    names = dict.fromkeys(name for report in noted.values() for name in reports.flat(report))
    rows = [
        (f"`{name}`", *(_figure(reports.flat(report).get(name)) for report in noted.values()))
        for name in list(names)[:MOST_ROWS]
    ]
    if len(names) > MOST_ROWS:
        rows.append((f"… {len(names) - MOST_ROWS} more", *("" for _ in noted)))
    rows.append(("digest", *(f"`{report['digest'][:12]}`" for report in noted.values())))
    return ["## What analytics counted", table(("figure", *noted), rows)]


def _figure(value: Any) -> str:
    return "–" if value is None else f"{value:,}" if isinstance(value, int) else f"{value:g}"
