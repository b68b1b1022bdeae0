"""What Part A's benchmark says: its goals and the sections of its report, from the samples alone."""

from collections import defaultdict
from statistics import median
from typing import Any

from lab.report.format import shown_time, table

from benchmarks.goals import cost_sections, goal, memory_section, spread

REACH = {"floor": 0.35, "naive": 1.9}
MEMORY_MIB = 130
P99_TIMES_FLOOR = 3.0
NAMES = {
    "chain": "this chain",
    "unpinned": "this chain, not pinned to cores",
    "floor": "floor: bare WSGI functions",
    "naive": "naive chain",
}


def judge(samples: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the goals with their verdicts, and the sections of the report."""
    closed = [s for s in samples if s["what"] == "closed"]
    against = {rival: _ratios(closed, 8, rival) for rival in REACH}
    p99 = median(_open_ratios(samples))
    largest = max(s["mib"] for s in samples if s["what"] == "memory")
    bad = sum(s["bad"] for s in closed)
    goals = [
        goal(
            f"orders/s at 8 clients ÷ {NAMES[rival]}",
            f"at least {reach}",
            median(against[rival]),
            spread(against[rival]),
            median(against[rival]) >= reach,
        )
        for rival, reach in REACH.items()
    ]
    goals.append(
        goal(
            "p99 at 100 orders/s ÷ the floor's",
            f"at most {P99_TIMES_FLOOR:g}",
            p99,
            f"{p99:.2f}",
            p99 <= P99_TIMES_FLOOR,
        )
    )
    goals.append(
        goal(
            "memory of a service with its gunicorn, the largest",
            f"at most {MEMORY_MIB} MiB",
            largest,
            f"{largest:.0f} MiB",
            largest <= MEMORY_MIB,
        )
    )
    goals.append(goal("orders not answered 201", "0", bad, f"{bad}", bad == 0))
    return goals, [_closed_section(closed), _open_section(samples), memory_section(samples), *cost_sections(samples)]


def _ratios(closed: list[dict[str, Any]], clients: int, rival: str) -> list[float]:
    """Return this chain's rate ÷ the rival's, round by round."""
    rate = {(s["round"], s["name"]): s["rate"] for s in closed if s["clients"] == clients}
    rounds = sorted({n for n, _ in rate})
    return [rate[n, "chain"] / rate[n, rival] for n in rounds]


def _open_ratios(samples: list[dict[str, Any]]) -> list[float]:
    p99 = {(s["round"], s["name"]): s["p99"] for s in samples if s["what"] == "open"}
    return [p99[n, "chain"] / p99[n, "floor"] for n in sorted({n for n, _ in p99})]


def _closed_section(closed: list[dict[str, Any]]) -> str:
    rows = []
    for clients in sorted({s["clients"] for s in closed}):
        for name in NAMES:
            mine = [s for s in closed if s["clients"] == clients and s["name"] == name]
            ratio = "" if name == "chain" else spread(_ratios(closed, clients, name))
            times = (shown_time(median(s[q] for s in mine)) for q in ("p50", "p99"))
            rows.append((str(clients), NAMES[name], f"{median(s['rate'] for s in mine):,.0f}", *times, ratio))
    return (
        "## Orders a second\n\nClosed loop with a cheap client; medians of the rounds. "
        "The floor has no framework, no rules and no storage; the naive chain has no storage and promises nothing.\n\n"
        + table(("clients", "contestant", "orders/s", "p50", "p99", "this chain ÷ it"), rows)
    )


def _open_section(samples: list[dict[str, Any]]) -> str:
    by_name = defaultdict(list)
    for s in samples:
        if s["what"] == "open":
            by_name[s["name"]].append(s)
    rows = [
        (NAMES[name], *(shown_time(median(s[q] for s in mine)) for q in ("p50", "p95", "p99", "max", "lateness_p99")))
        for name, mine in by_name.items()
    ]
    columns = ("contestant", "p50", "p95", "p99", "max", "lateness p99")
    return "## Latency at 100 orders/s\n\nOpen loop, medians of the rounds.\n\n" + table(columns, rows)
