"""Makes a benchmark's `summary.json` and `report.md` from its raw samples, and from nothing else."""

import gzip
import json
from collections import defaultdict
from pathlib import Path
from statistics import median
from typing import Any

from lab.report import MARK, table, verdict
from lab.units import shown_time

SAMPLES = "samples.jsonl.gz"
REACH = {"floor": 0.35, "naive": 1.9}
MEMORY_MIB = 130
P99_TIMES_FLOOR = 3.0
LATENESS = 0.005
NAMES = {
    "chain": "this chain",
    "unpinned": "this chain, not pinned to cores",
    "floor": "floor: bare WSGI functions",
    "naive": "naive chain",
}


def make(folder: Path) -> str:
    """Write the report beside the samples and return its verdict in a sentence."""
    head, *samples = [json.loads(line) for line in gzip.decompress((folder / SAMPLES).read_bytes()).splitlines()]
    goals, sections = (_load_bench if head["benchmark"] == "load" else _part_bench)(samples)
    summary = {**head, "goals": goals, "verdict": verdict([goal["verdict"] for goal in goals])}
    sentence = f"{summary['verdict']}: {sum(g['verdict'] == 'pass' for g in goals)} of {len(goals)} goals reached."
    (folder / "summary.json").write_text(json.dumps(summary, indent=1, ensure_ascii=False) + "\n")
    (folder / "report.md").write_text(_page(head, summary, sentence, goals, sections))
    return sentence


def _page(
    head: dict[str, Any], summary: dict[str, Any], sentence: str, goals: list[dict[str, Any]], sections: list[str]
) -> str:
    env = head["environment"]
    rows = [(g["goal"], g["wanted"], g["measured"], MARK[g["verdict"]]) for g in goals]
    versions = ", ".join(f"{name} {version}" for name, version in env["versions"].items())
    return "\n\n".join(
        [
            f"# Benchmark: {head['benchmark']}",
            f"**{MARK[summary['verdict']]}** — {sentence.split(': ')[1]}",
            table(("goal", "wanted", "measured", "verdict"), rows),
            *sections,
            "## Make it again",
            f"```\n./lab bench {head['benchmark']}{' --quick' if head['quick'] else ''}\n```",
            f"This one: commit `{env['commit']}`, {env['cores']} cores, {env['memory_gib']} GiB, {env['system']}; "
            f"{versions}. Every figure is computed from `{SAMPLES}`. Clients and servers share the machine: read the "
            "ratios, which compare contestants within one round, and not the absolute figures.\n",
        ]
    )


def _goal(goal: str, wanted: str, measured: float, shown: str, good: bool) -> dict[str, Any]:
    return {
        "goal": goal,
        "wanted": wanted,
        "value": round(measured, 4),
        "measured": shown,
        "verdict": "pass" if good else "fail",
    }


def _part_bench(samples: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    closed = [s for s in samples if s["what"] == "closed"]
    against = {rival: _ratios(closed, 8, rival) for rival in REACH}
    p99 = median(_open_ratios(samples))
    largest = max(s["mib"] for s in samples if s["what"] == "memory")
    bad = sum(s["bad"] for s in closed)
    goals = [
        _goal(
            f"orders/s at 8 clients ÷ {NAMES[rival]}",
            f"at least {reach}",
            median(against[rival]),
            _spread(against[rival]),
            median(against[rival]) >= reach,
        )
        for rival, reach in REACH.items()
    ]
    goals.append(
        _goal(
            "p99 at 100 orders/s ÷ the floor's",
            f"at most {P99_TIMES_FLOOR:g}",
            p99,
            f"{p99:.2f}",
            p99 <= P99_TIMES_FLOOR,
        )
    )
    goals.append(
        _goal(
            "memory of a service with its gunicorn, the largest",
            f"at most {MEMORY_MIB} MiB",
            largest,
            f"{largest:.0f} MiB",
            largest <= MEMORY_MIB,
        )
    )
    goals.append(_goal("orders not answered 201", "0", bad, f"{bad}", bad == 0))
    return goals, [_closed_section(closed), _open_section(samples), _memory_section(samples), *_cost_sections(samples)]


def _ratios(closed: list[dict[str, Any]], clients: int, rival: str) -> list[float]:
    """Return this chain's rate ÷ the rival's, round by round."""
    rate = {(s["round"], s["name"]): s["rate"] for s in closed if s["clients"] == clients}
    rounds = sorted({n for n, _ in rate})
    return [rate[n, "chain"] / rate[n, rival] for n in rounds]


def _open_ratios(samples: list[dict[str, Any]]) -> list[float]:
    p99 = {(s["round"], s["name"]): s["p99"] for s in samples if s["what"] == "open"}
    return [p99[n, "chain"] / p99[n, "floor"] for n in sorted({n for n, _ in p99})]


def _spread(ratios: list[float]) -> str:
    return f"{median(ratios):.2f} (rounds: {min(ratios):.2f}–{max(ratios):.2f})"


def _closed_section(closed: list[dict[str, Any]]) -> str:
    rows = []
    for clients in sorted({s["clients"] for s in closed}):
        for name in NAMES:
            mine = [s for s in closed if s["clients"] == clients and s["name"] == name]
            ratio = "" if name == "chain" else _spread(_ratios(closed, clients, name))
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


def _memory_section(samples: list[dict[str, Any]]) -> str:
    rows = [(s["service"], f"{s['mib']:.0f} MiB") for s in samples if s["what"] == "memory"]
    text = "Resident memory of a service's processes together, after the load (shared pages counted in each)."
    return f"## Memory\n\n{text}\n\n" + table(("service", "memory"), rows)


def _cost_sections(samples: list[dict[str, Any]]) -> list[str]:
    costs = {s["part"]: s["us"] for s in samples if s["what"] == "cost"}
    if not costs:
        return []
    rows = [(part, f"{us:.0f} µs") for part, us in costs.items()]
    return [
        "## Where the time goes\n\nProcessor time of each part alone, in one thread of one process, best of three. "
        "Under load the same work costs more: threads hand over the interpreter, and caches are shared.\n\n"
        + table(("part", "processor time"), rows)
    ]


def _load_bench(samples: list[dict[str, Any]]) -> tuple[list[dict[str, Any]], list[str]]:
    goals, rows = [], []
    for s in samples:
        goal = f"p99 lateness, {s['name']} arrivals at 300/s for {s['seconds']:.0f} s"
        goals.append(_goal(goal, f"under {shown_time(LATENESS)}", s["p99"], shown_time(s["p99"]), s["p99"] < LATENESS))
        rows.append((s["name"], f"{s['sent']:,}", f"{s['ok']:,}", *(shown_time(s[q]) for q in ("p50", "p99", "max"))))
    text = "How much later than intended orders were sent, to a server that does nothing."
    columns = ("arrivals", "sent", "done", "p50", "p99", "max")
    return goals, [f"## Lateness of the load generator\n\n{text}\n\n" + table(columns, rows)]
