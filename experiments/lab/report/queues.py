"""The sections that only a run with queues has: completion, what waited, what was published, dead letters."""

from collections import Counter
from typing import Any

from lab.analysis import latency
from lab.history.model import Run
from lab.report.format import shown_time, table


def completion_section(summary: dict[str, Any]) -> list[str]:
    """Return the table that sets the reply beside the notification, where orders are done after the reply."""
    phases = {name: p for name, p in summary["phases"].items() if "completion" in p}
    if not phases:
        return []
    columns = ("load", "accepted: p50", "p99", "notified", "failed", "notified/s", "notified: p50", "p95", "p99", "max")
    text = (
        "The reply says that an order is safe; the student waits for the notification. Both from the moment when the "
        "order was meant to be sent, and *own time* from when the order was placed."
    )
    rows = [_completion_row(name, p) for name, p in phases.items()]
    return ["## Accepted and completed", text, table((*columns, "own time: p50", "p99"), rows)]


def _completion_row(name: str, p: dict[str, Any]) -> tuple[str, ...]:
    done = p["completion"]
    accepted = (shown_time(p["p50"]), shown_time(p["p99"]))
    counts = (f"{done['notified']:,}", f"{done['failed']:,}", f"{done['achieved']:,.1f}")
    times = (shown_time(done[key]) for key in ("p50", "p95", "p99", "max"))
    return (name, *accepted, *counts, *times, *(shown_time(done["placed"][key]) for key in ("p50", "p99")))


def depth_section(run: Run) -> list[str]:
    """Return what waited, where queues were watched."""
    samples = latency.depths(run)
    if not samples:
        return []
    text = (
        "Seen five times a second (`depth.csv`). A queue's messages leave out those that a consumer has been given and "
        "not yet acknowledged, up to 500; *orders for inventory* counts every order that waited for it, by "
        "the orders' own timelines. *outbox*: events that wait in the order service for the broker."
    )
    fullest = {name: max(samples, key=lambda row: row.get(name, 0)) for name in samples[0] if name != "at"}
    rows = [(name, f"{row[name]:,}", f"{row['at']:.1f} s") for name, row in fullest.items() if row.get(name)]
    return ["## What waited", text, table(("where", "most", "at"), rows) if rows else "Nothing was ever seen to wait."]


def published_section(run: Run) -> list[str]:
    """Return what the script published itself, and what became of it."""
    published = run.of_type("published")
    if not published:
        return []
    reasons = {(d["queue"], d["message_id"]): d["reason"] for d in run.held("dead")}
    groups = Counter((e["name"], e["queue"], e["kind"]) for e in published)
    dead: dict[tuple[str, ...], list[str]] = {group: [] for group in groups}
    for e in published:
        if (reason := reasons.get((e["queue"], e["message_id"]))) is not None:
            dead[e["name"], e["queue"], e["kind"]].append(reason)
    columns = ("as", "into", "what", "messages", "dead-lettered", "reason")
    rows = [(*group, str(n), str(len(dead[group])), _short(dead[group])) for group, n in groups.items()]
    return ["## What the script published itself", table(columns, rows)]


def _short(reasons: list[str]) -> str:
    return f"{reasons[0][:90]}{' …' if len(reasons[0]) > 90 else ''}" if reasons else ""


def dead_letters_section(run: Run) -> list[str]:
    """Return what else was dead-lettered."""
    ours = {(e["queue"], e["message_id"]) for e in run.of_type("published")}
    others = [d for d in run.held("dead") if (d["queue"], d["message_id"]) not in ours]
    if not others:
        return []
    counts = Counter((d["queue"], _short([d["reason"]])) for d in others)
    rows = [(queue, f"{count:,}", reason) for (queue, reason), count in counts.items()]
    return ["## Dead letters", table(("queue", "messages", "reason"), rows)]
