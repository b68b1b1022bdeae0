"""What only some runs have: queues, dead letters, lag, reports of analytics. Nothing where there is none."""

from collections import Counter, defaultdict
from datetime import datetime, timedelta
from typing import Any

from lab.analysis import backlog, lag, reports
from lab.analysis.lag import LagSeries
from lab.checker.invariants import FINAL
from lab.history.model import Run
from lab.trace.one_order import examples

Rows = list[tuple[Any, ...]]
MAX_LETTERS, MAX_ROWS = 90, 20
LAG_COLUMNS = ("group", "topic", "partition", "current", "end", "lag", "lag_seconds", "state", "client")


def written_down(run: Run) -> str:
    """Return in a sentence when the predictions were written, compared with when the first load began."""
    written = next(iter(run.of_type("predictions")), None)
    loads = [e["at"] for e in run.of_type("begins") + run.of_type("phase")]
    if written is None or not loads:
        return "this run does not say when they were written down."
    at = datetime.fromisoformat(run.head["began_at"]) + timedelta(seconds=written["at"])
    return (
        f"written down at {at:%H:%M:%S} UTC, {min(loads) - written['at']:.1f} s before the first load began: "
        "the history holds their text, and this page is made only from the same text."
    )


def equation(filled: str, value: float | None) -> str:
    """Return a formula with its values and its result: `20 × 60.9 = 1,218`; one number alone needs no result."""
    result = "?" if value is None else f"{value:,.6g}"
    return result if filled == result else f"{filled} = {result}"


def depths(run: Run) -> Rows | None:
    """Return where messages waited, the most at one time, and when; None where queues were not watched."""
    samples = backlog.depths(run)
    if not samples:
        return None
    found = {name: max(samples, key=lambda row: row.get(name, 0)) for name in samples[0] if name != "at"}
    return [(name, row[name], f"{row['at']:.1f} s") for name, row in found.items() if row.get(name)]


def published(run: Run) -> Rows:
    """Return the messages that the script published, and which of them were dead-lettered."""
    reasons = {(d["queue"], d["message_id"]): d["reason"] for d in run.held("dead")}
    found: dict[tuple[str, ...], list[str | None]] = defaultdict(list)
    for e in run.of_type("published"):
        found[e["name"], e["queue"], e["kind"]].append(reasons.get((e["queue"], e["message_id"])))
    dead = {group: [reason for reason in messages if reason is not None] for group, messages in found.items()}
    return [(*group, len(messages), len(dead[group]), _short(*dead[group][:1])) for group, messages in found.items()]


def dead_letters(run: Run) -> Rows:
    """Return what else was dead-lettered."""
    ours = {(e["queue"], e["message_id"]) for e in run.of_type("published")}
    others = [d for d in run.held("dead") if (d["queue"], d["message_id"]) not in ours]
    counts = Counter((d["queue"], _short(d["reason"])) for d in others)
    return [(queue, count, reason) for (queue, reason), count in counts.items()]


def _short(reason: str = "") -> str:
    return f"{reason[:MAX_LETTERS]} …" if len(reason) > MAX_LETTERS else reason


def lags(run: Run) -> Rows:
    """Return for each group its largest lag, when, the largest in one partition then, and the lag at the end."""
    rows = []
    for series in (LagSeries(run, group) for group in lag.groups(run)):
        most, at = series.highest()
        largest = max(series.of(partition, at) for partition in series.partitions)
        rows.append((series.group, most, f"{at:.1f} s", largest, series.at(float("inf"))))
    return rows


def lag_tables(run: Run) -> list[tuple[str, Rows]]:
    """Return each lag table that the script asked for, as `./lab lag` showed it, by its title."""
    tables = {f"`./lab lag` at {e['at']:.1f} s: {e['name']}": e["rows"] for e in run.of_type("lag table")}
    return [(title, [_lag_row(row) for row in rows if row["group"] != "lab-dlq"]) for title, rows in tables.items()]


def _lag_row(row: dict[str, Any]) -> tuple[Any, ...]:
    values = (row.get(name) for name in LAG_COLUMNS)
    return tuple(f"{value:.1f}" if isinstance(value, float) else value for value in values)


def counted(run: Run) -> Rows:
    """Return the reports of analytics that were noted, side by side: those with one digest say the same."""
    noted = reports.reports(run)
    flat = [reports.flat(report) for report in noted.values()]
    names = list(dict.fromkeys(name for report in flat for name in report))
    rows = [("figure", *noted)]
    rows += [(f"`{name}`", *(_figure(report.get(name)) for report in flat)) for name in names[:MAX_ROWS]]
    rows += [(f"… {len(names) - MAX_ROWS} more", *("" for _ in noted))] if len(names) > MAX_ROWS else []
    return [*rows, ("digest", *(f"`{report['digest'][:12]}`" for report in noted.values()))] if noted else []


def one_order(run: Run) -> list[tuple[str, str]]:
    """Return a sequence diagram (Mermaid) of an ordinary order and one of a disturbed order, by their titles."""
    final = {order_id for order_id, order in run.orders.items() if order["status"] in FINAL}
    kills = [(e["service"], e["at"]) for e in run.of_type("fault") if e["verb"] == "kill"]
    return examples(run.trace, final, kills)


def _figure(value: Any) -> Any:
    return f"{value:g}" if isinstance(value, float) else value
