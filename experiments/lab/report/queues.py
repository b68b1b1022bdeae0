"""What only a run with queues has: what waited, what the script published itself, dead letters."""

from collections import Counter, defaultdict
from typing import Any

from lab.analysis import latency
from lab.history.model import Run

Rows = list[tuple[Any, ...]]
MAX_LETTERS = 90


def fullest(run: Run) -> Rows | None:
    """Return where messages waited, the most at one time, and when; None where queues were not watched."""
    samples = latency.depths(run)
    if not samples:
        return None
    found = {name: max(samples, key=lambda row: row.get(name, 0)) for name in samples[0] if name != "at"}
    return [(name, row[name], f"{row['at']:.1f} s") for name, row in found.items() if row.get(name)]


def published(run: Run) -> Rows:
    """Return what the script published itself, and what became of it."""
    reasons = {(d["queue"], d["message_id"]): d["reason"] for d in run.held("dead")}
    found: dict[tuple[str, ...], list[str | None]] = defaultdict(list)
    for e in run.of_type("published"):
        found[e["name"], e["queue"], e["kind"]].append(reasons.get((e["queue"], e["message_id"])))
    dead = {group: [reason for reason in became if reason is not None] for group, became in found.items()}
    return [(*group, len(became), len(dead[group]), _short(*dead[group][:1])) for group, became in found.items()]


def dead_letters(run: Run) -> Rows:
    """Return what else was dead-lettered."""
    ours = {(e["queue"], e["message_id"]) for e in run.of_type("published")}
    others = [d for d in run.held("dead") if (d["queue"], d["message_id"]) not in ours]
    counts = Counter((d["queue"], _short(d["reason"])) for d in others)
    return [(queue, count, reason) for (queue, reason), count in counts.items()]


def _short(reason: str = "") -> str:
    return f"{reason[:MAX_LETTERS]} …" if len(reason) > MAX_LETTERS else reason
