"""What the benchmarks' reports share: a goal with its verdict, and the sections that are alike."""

from collections.abc import Callable, Mapping, Sequence
from statistics import median
from typing import Any

from lab.report.format import shown_time, table

MOST_CLIENTS = 16
ACCEPTING = {"service": "the order service", "alone": "the same app alone"}
Samples = list[dict[str, Any]]


def goal(name: str, wanted: str, measured: float, shown: str, good: bool) -> dict[str, Any]:
    """Return a goal with what was measured and whether it was reached."""
    return {
        "goal": name,
        "wanted": wanted,
        "value": round(measured, 4),
        "measured": shown,
        "verdict": "pass" if good else "fail",
    }


def not_measured(name: str, wanted: str) -> dict[str, Any]:
    """Return a goal of which nothing is known: that is no pass."""
    return {"goal": name, "wanted": wanted, "value": None, "measured": "–", "verdict": "unknown"}


def at_least(name: str, least: float, values: Sequence[float], shape: str = "{:.2f}") -> dict[str, Any]:
    """Return the goal that the median of the rounds is not below."""
    wanted = f"at least {least:,}"
    if not values:
        return not_measured(name, wanted)
    middle, low, high = (shape.format(v) for v in (median(values), min(values), max(values)))
    return goal(name, wanted, median(values), f"{middle} (rounds: {low}–{high})", median(values) >= least)


def at_most(
    name: str,
    most: float,
    values: list[float],
    show: Callable[[float], str],
    of_all: Callable[[list[float]], float],
) -> dict[str, Any]:
    """Return the goal that what `of_all` makes of the values is not above."""
    wanted = f"at most {show(most)}"
    if not values:
        return not_measured(name, wanted)
    value = of_all(values)
    return goal(name, wanted, value, show(value), value <= most)


def of(samples: Samples, what: str) -> Samples:
    """Return the samples of one kind."""
    return [s for s in samples if s["what"] == what]


def accepted(closed: Samples, name: str, clients: int = MOST_CLIENTS) -> float:
    """Return a contestant's orders a second in a round's closed loops."""
    return next(s["rate"] for s in closed if s["name"] == name and s["clients"] == clients)


def over_rounds(samples: Samples, figure: Callable[[Samples], float]) -> list[float]:
    """Return a figure of the closed loops of each round."""
    closed = of(samples, "closed")
    return [figure([s for s in closed if s["round"] == n]) for n in sorted({s["round"] for s in closed})]


def rates(samples: Samples, name: str, unit: str) -> dict[int, float]:
    """Return a contestant's orders, or events, a second, by round."""
    return {s["round"]: s[unit] / s["seconds"] for s in samples if s["name"] == name and s["seconds"]}


def ratios(samples: Samples, name: str, unit: str) -> list[float]:
    """Return the service's rate ÷ a contestant's, round by round."""
    ours, theirs = rates(samples, "service", unit), rates(samples, name, unit)
    return [ours[n] / theirs[n] for n in ours if n in theirs]


def rate_rows(samples: Samples, names: Mapping[str, str], unit: str) -> list[tuple[str, str, str]]:
    """Return a row for each contestant: its name, its median rate, and the service's ÷ it."""
    rows = []
    for name, shown in names.items():
        mine = rates(samples, name, unit).values()
        beside = [] if name == "service" else ratios(samples, name, unit)
        rows.append((shown, f"{median(mine):,.0f}" if mine else "–", spread(beside) if beside else ""))
    return rows


def spread(ratios: Sequence[float]) -> str:
    """Return the median of ratios and how far the rounds lie apart."""
    return f"{median(ratios):.2f} (rounds: {min(ratios):.2f}–{max(ratios):.2f})"


def accept_section(samples: Samples, text: str) -> str:
    """Return the section on orders accepted a second."""
    rows = []
    for clients in sorted({s["clients"] for s in of(samples, "closed")}):
        beside = over_rounds(samples, lambda r, n=clients: accepted(r, "service", n) / accepted(r, "alone", n))
        for name, shown in ACCEPTING.items():
            mine = [s for s in of(samples, "closed") if s["clients"] == clients and s["name"] == name]
            times = (shown_time(median(s[q] for s in mine)) for q in ("p50", "p99"))
            ratio = spread(beside) if name == "alone" else ""
            rows.append((str(clients), shown, f"{median(s['rate'] for s in mine):,.0f}", *times, ratio))
    columns = ("clients", "contestant", "orders/s", "p50", "p99", "the service ÷ it")
    return f"## Orders accepted a second\n\n{text}\n\n" + table(columns, rows)


def completion_section(samples: Samples) -> str:
    """Return the section on latency at 100 orders/s."""
    mine = of(samples, "completion")
    rows = []
    for shown, prefix in (("accepted", "accept_"), ("notified", "")):
        quantiles = ([s[prefix + q] for s in mine if s[prefix + q] is not None] for q in ("p50", "p95", "p99", "max"))
        rows.append((shown, *(shown_time(median(values) if values else None) for values in quantiles)))
    text = "Open loop, medians of the rounds: from the intended time until the answer, and from placed until notified."
    return f"## Latency at 100 orders/s\n\n{text}\n\n" + table(("until", "p50", "p95", "p99", "max"), rows)


def largest(samples: Samples) -> Samples:
    """Return each service's largest sample of memory."""
    by_size = sorted(of(samples, "memory"), key=lambda s: s["mib"])
    return list({s["service"]: s for s in by_size}.values())


def memory_section(samples: Samples) -> str:
    """Return the section on memory."""
    rows = [(s["service"], f"{s['mib']:.0f} MiB") for s in samples if s["what"] == "memory"]
    text = "Resident memory of a service's processes together, after the load (shared pages counted in each)."
    return f"## Memory\n\n{text}\n\n" + table(("service", "memory"), rows)


def cost_sections(samples: Samples) -> list[str]:
    """Return the section on processor time, if it was measured."""
    costs = {s["part"]: s["us"] for s in samples if s["what"] == "cost"}
    if not costs:
        return []
    rows = [(part, f"{us:.0f} µs") for part, us in costs.items()]
    return [
        "## Where the time goes\n\nProcessor time of each part alone, in one thread of one process, best of three. "
        "Under load the same work costs more: threads hand over the interpreter, and caches are shared.\n\n"
        + table(("part", "processor time"), rows)
    ]
