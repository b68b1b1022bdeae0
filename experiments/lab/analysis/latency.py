"""The figures of a run, all computed from its raw files. Times are in seconds, latencies too."""

from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence
from typing import Any

from hdrh.histogram import HdrHistogram

from lab.history.model import Operation, Run, seconds_at

LATE_SECONDS = 0.010
_HOUR_US = 3_600_000_000


def quantiles(seconds: Iterable[float], shares: Sequence[float]) -> list[float | None]:
    """Return the latencies that these shares of all stay within, by an HdrHistogram of 3 digits; None of nothing."""
    histogram, longest = HdrHistogram(1, _HOUR_US, 3), 0.0
    for value in seconds:
        histogram.record_value(max(1, round(value * 1e6)))
        longest = max(longest, value)
    if not histogram.get_total_count():
        return [None] * len(shares)
    values = histogram.get_percentile_to_value_dict([100 * share for share in shares])
    return [min(values[100 * share] / 1e6, round(longest, 6)) for share in shares]


def quantile(seconds: Iterable[float], share: float) -> float | None:
    """Return the latency that a share of all stay within; None of nothing."""
    return quantiles(seconds, [share])[0]


def figures(seconds: Iterable[float]) -> dict[str, float | None]:
    """Return `{p50, p95, p99, max}` of some latencies."""
    return dict(zip(("p50", "p95", "p99", "max"), quantiles(seconds, (0.5, 0.95, 0.99, 1.0)), strict=True))


def word_for_ok(run: Run) -> str:
    """Return what a success means for the client."""
    return "accepted" if run.asynchronous else "done"


def latency(op: Operation) -> float:
    """Return how long an order took, from when it was meant to be sent."""
    return (op.ended or op.intended) - op.intended


def of_phases(run: Run) -> dict[str, dict[str, Any]]:
    """Return the figures of each load by its name, in order of time."""
    operations: dict[str, list[Operation]] = defaultdict(list)
    for op in run.operations:
        operations[op.phase].append(op)
    dropped = Counter(e["phase"] for e in run.of_type("dropped"))
    found = {p["phase"]: _of_phase(p, operations[p["phase"]], dropped[p["phase"]]) for p in run.phases}
    if run.asynchronous:
        for name, of in found.items():
            of["completion"] = _completion_of(run, of["began"], operations[name])
    return found


def _of_phase(phase: dict[str, Any], operations: list[Operation], dropped: int) -> dict[str, Any]:
    good = [op for op in operations if op.result == "ok"]
    elapsed = max((op.ended for op in good if op.ended), default=phase["at"]) - phase["at"]
    return {
        "params": phase["params"],
        "began": phase["at"],
        "seconds": round(phase["until"] - phase["at"], 6),
        "sent": len(operations),
        "ok": len(good),
        "fail": sum(op.result == "fail" for op in operations),
        "info": sum(op.result in ("info", None) for op in operations),
        "dropped": dropped,
        "late": sum(op.sent - op.intended > LATE_SECONDS for op in operations),
        "lateness_p99": quantile((op.sent - op.intended for op in operations), 0.99),
        "achieved": round(len(good) / elapsed, 2) if elapsed > 0 else 0.0,
        **figures(latency(op) for op in good),
        "errors": _errors(operations),
    }


def _completion_of(run: Run, began: float, operations: list[Operation]) -> dict[str, Any]:
    """Return how the accepted orders of a load went on: how many were notified, at what rate, and after how long."""
    notified = completions(run, operations)
    last = max((op.intended + latency for op, latency in notified), default=began)
    accepted = [run.orders[op.order_id] for op in operations if op.result == "ok" and op.order_id in run.orders]
    return {
        "notified": len(notified),
        "failed": sum(order["status"] == "failed" for order in accepted),
        "achieved": round(len(notified) / (last - began), 2) if last > began else 0.0,
        **figures(latency for _, latency in notified),
        "placed": figures(completion(run, run.orders[op.order_id or ""]) for op, _ in notified),
    }


def completions(run: Run, operations: Iterable[Operation]) -> list[tuple[Operation, float]]:
    """Return each order that was accepted and notified, with the time from when it was meant to be sent."""
    accepted = [(op, run.orders.get(op.order_id or "")) for op in operations if op.result == "ok"]
    return [
        (op, seconds_at(run, order["timeline"][-1]["at"]) - op.intended)
        for op, order in accepted
        if order and order["status"] == "notified"
    ]


def _errors(operations: list[Operation]) -> dict[str, dict[str, Any]]:
    """Return for each kind of error how many, what share, and how fast: never mixed into the latency of successes."""
    kinds: dict[str, list[float]] = defaultdict(list)
    for op in operations:
        if op.result != "ok":
            kinds[op.kind].append(latency(op))
    return {
        kind: {"count": len(times), "share": round(len(times) / len(operations), 4), **figures(times)}
        for kind, times in sorted(kinds.items())
    }


def of_orders(run: Run) -> dict[str, Any]:
    """Return how many orders ended in which state, and the completion latency (placed → notified)."""
    orders = run.held("order")
    reasons = Counter(o["reason"] for o in orders if o["status"] == "failed")
    return {
        "by_status": dict(sorted(Counter(o["status"] for o in orders).items())),
        "failed_for": dict(sorted(reasons.items())),
        "completion": figures(completion(run, o) for o in orders if o["status"] == "notified"),
    }


def completion(run: Run, order: dict[str, Any]) -> float:
    """Return how long a notified order took from when it was placed."""
    first, last = order["timeline"][0], order["timeline"][-1]
    return max(0.0, seconds_at(run, last["at"]) - seconds_at(run, first["at"]))


def per_second(run: Run) -> list[dict[str, int]]:
    """Return for each second: orders sent, replies by result, orders notified, and orders waiting for a reply."""
    table: dict[int, Counter[str]] = defaultdict(Counter)
    for op in run.operations:
        table[int(op.intended)]["sent"] += 1
        if op.ended is not None:
            table[int(op.ended)][op.result or "info"] += 1
    for order in run.held("order"):
        if order["status"] == "notified":
            table[max(0, int(seconds_at(run, order["timeline"][-1]["at"])))]["notified"] += 1
    rows, waiting = [], 0
    for second in range(max(table, default=-1) + 1):
        row = table[second]
        waiting += row["sent"] - row["ok"] - row["fail"] - row["info"]
        counts = {name: row[name] for name in ("sent", "ok", "fail", "info", "notified")}
        rows.append({"second": second, **counts, "waiting": waiting})
    return rows
