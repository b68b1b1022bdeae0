"""What Part B's benchmark says: its goals and the sections of its report, from the samples alone."""

from collections.abc import Callable
from statistics import median
from typing import Any

from lab.bench_words import cost_sections, goal, memory_section, not_measured, spread
from lab.report import table
from lab.units import shown_time

ACCEPT_OF_ALONE = 0.5
MANY_OF_ONE = 1.0
DRAIN_RATE = 3_000
DRAIN_OF_FLOOR = 0.4
COMPLETED_OF_ACCEPTED = 0.8
COMPLETION_P99 = 0.050
MEMORY_MIB = 150
MOST_CLIENTS = 16
NAMES = {"service": "the order service", "alone": "the same app alone"}
DRAINS = {"service": "inventory", "republish": "floor: republish, confirmed", "ack": "floor: acknowledge only"}
Samples = list[dict[str, Any]]


def judge(samples: Samples) -> tuple[Samples, list[str]]:
    """Return the goals with their verdicts, and the sections of the report."""
    sections = [_accept_section(samples), _end_to_end_section(samples), _drain_section(samples)]
    sections += [_completion_section(samples), memory_section(_largest(samples)), *cost_sections(samples)]
    return _goals(samples), sections


def _goals(samples: Samples) -> Samples:
    rates = [drain["orders"] / drain["seconds"] for drain in _drains(samples, "service")]
    p99 = [s["p99"] for s in _of(samples, "completion") if s["p99"] is not None]
    mib = [s["mib"] for s in _of(samples, "memory")]
    return [
        _at_least(
            f"orders accepted/s at {MOST_CLIENTS} clients ÷ the same app alone",
            ACCEPT_OF_ALONE,
            _over_rounds(samples, lambda mine: _rate(mine, "service") / _rate(mine, "alone")),
        ),
        _at_least(
            f"orders accepted/s at {MOST_CLIENTS} clients ÷ at 1 client",
            MANY_OF_ONE,
            _over_rounds(samples, lambda mine: _rate(mine, "service") / _rate(mine, "service", clients=1)),
        ),
        _at_least("a backlog is worked off, orders/s", DRAIN_RATE, rates, "{:,.0f}"),
        _at_least("that ÷ the floor that republishes", DRAIN_OF_FLOOR, _drain_ratios(samples, "republish")),
        _at_least("orders completed/s ÷ accepted/s", COMPLETED_OF_ACCEPTED, _completed_of_accepted(samples)),
        _at_most("p99 of placed → notified at 100 orders/s", COMPLETION_P99, p99, shown_time, median),
        _at_most("memory of a service with its gunicorn, the largest", MEMORY_MIB, mib, "{:.0f} MiB".format, max),
        _at_most("orders lost, or not answered 202", 0, _lost(samples), "{:.0f}".format, sum),
    ]


def _at_least(name: str, least: float, values: list[float], shape: str = "{:.2f}") -> dict[str, Any]:
    wanted = f"at least {least:,}"
    if not values:
        return not_measured(name, wanted)
    middle, low, high = (shape.format(v) for v in (median(values), min(values), max(values)))
    return goal(name, wanted, median(values), f"{middle} (rounds: {low}–{high})", median(values) >= least)


def _at_most(
    name: str,
    most: float,
    values: list[float],
    show: Callable[[float], str],
    of_all: Callable[[list[float]], float],
) -> dict[str, Any]:
    wanted = f"at most {show(most)}"
    if not values:
        return not_measured(name, wanted)
    value = of_all(values)
    return goal(name, wanted, value, show(value), value <= most)


def _of(samples: Samples, what: str) -> Samples:
    return [s for s in samples if s["what"] == what]


def _largest(samples: Samples) -> Samples:
    """Return each service's largest sample of memory."""
    by_size = sorted(_of(samples, "memory"), key=lambda s: s["mib"])
    return list({s["service"]: s for s in by_size}.values())


def _over_rounds(samples: Samples, figure: Callable[[Samples], float]) -> list[float]:
    """Return a figure of the closed loops of each round."""
    closed = _of(samples, "closed")
    return [figure([s for s in closed if s["round"] == n]) for n in sorted({s["round"] for s in closed})]


def _rate(closed: Samples, name: str, clients: int = MOST_CLIENTS) -> float:
    return next(s["rate"] for s in closed if s["name"] == name and s["clients"] == clients)


def _drains(samples: Samples, name: str) -> Samples:
    return [s for s in _of(samples, "drain") if s["name"] == name and s["seconds"]]


def _drain_ratios(samples: Samples, floor: str) -> list[float]:
    """Return the rate of inventory ÷ the floor's, round by round."""
    theirs = {s["round"]: s["orders"] / s["seconds"] for s in _drains(samples, floor)}
    ours = _drains(samples, "service")
    return [s["orders"] / s["seconds"] / theirs[s["round"]] for s in ours if s["round"] in theirs]


def _completed_of_accepted(samples: Samples) -> list[float]:
    """Return the completed orders a second ÷ the accepted ones; of rounds in which every order was completed."""
    whole = [s for s in _of(samples, "end to end") if 0 < s["orders"] == s["notified"]]
    return [s["accept_seconds"] / s["seconds"] for s in whole]


def _lost(samples: Samples) -> list[float]:
    """Return how many orders of each sample were not answered 202, or never notified of."""
    done = [s["bad"] + s["orders"] - s["notified"] for s in _of(samples, "end to end")]
    done += [s["sent"] - s["notified"] for s in _of(samples, "completion")]
    return done and done + [s["bad"] for s in _of(samples, "closed")]


def _accept_section(samples: Samples) -> str:
    rows = []
    for clients in sorted({s["clients"] for s in _of(samples, "closed")}):
        ratios = _over_rounds(samples, lambda mine, n=clients: _rate(mine, "service", n) / _rate(mine, "alone", n))
        for name, shown in NAMES.items():
            mine = [s for s in _of(samples, "closed") if s["clients"] == clients and s["name"] == name]
            times = (shown_time(median(s[q] for s in mine)) for q in ("p50", "p99"))
            ratio = spread(ratios) if name == "alone" else ""
            rows.append((str(clients), shown, f"{median(s['rate'] for s in mine):,.0f}", *times, ratio))
    return (
        "## Orders accepted a second\n\nClosed loop with a cheap client; medians of the rounds. The order service "
        "stores, and publishes to RabbitMQ with confirms, on the same two cores; inventory is paused, so that nobody "
        "works on what was accepted (that is what *End to end* shows). The same app alone has the frame, the rules "
        "and the answer; it stores nothing and tells nobody.\n\n"
        + table(("clients", "contestant", "orders/s", "p50", "p99", "the service ÷ it"), rows)
    )


def _end_to_end_section(samples: Samples) -> str:
    rows = [
        (
            f"{s['orders']:,}",
            f"{s['notified']:,}",
            f"{s['orders'] / s['accept_seconds']:,.0f}",
            f"{s['notified'] / s['seconds']:,.0f}" if s["seconds"] else "–",
            f"{s['accept_seconds'] / s['seconds']:.2f}" if s["seconds"] else "–",
        )
        for s in _of(samples, "end to end")
    ]
    text = f"Placed by {MOST_CLIENTS} clients without a pause. The completed ones count until the last was notified."
    columns = ("orders", "notified", "accepted/s", "completed/s", "completed ÷ accepted")
    return f"## End to end\n\n{text}\n\n" + table(columns, rows)


def _drain_section(samples: Samples) -> str:
    rows = []
    for name, shown in DRAINS.items():
        rates = [s["orders"] / s["seconds"] for s in _drains(samples, name)]
        ratios = [] if name == "service" else _drain_ratios(samples, name)
        shown_rate = f"{median(rates):,.0f}" if rates else "–"
        rows.append((shown, shown_rate, spread(ratios) if ratios else ""))
    return (
        "## A backlog worked off\n\nThe consumers are paused while orders are placed; then inventory is let go, and "
        "when it is done the others. Its rate is from the times of its reservations. The floors are bare pika "
        "consumers, each on a queue of the same kind, and like inventory alone with RabbitMQ.\n\n"
        + table(("contestant", "orders/s", "inventory ÷ it"), rows)
    )


def _completion_section(samples: Samples) -> str:
    mine = _of(samples, "completion")
    rows = []
    for shown, prefix in (("accepted", "accept_"), ("notified", "")):
        quantiles = ([s[prefix + q] for s in mine if s[prefix + q] is not None] for q in ("p50", "p95", "p99", "max"))
        rows.append((shown, *(shown_time(median(values) if values else None) for values in quantiles)))
    text = "Open loop, medians of the rounds: from the intended time until the answer, and from placed until notified."
    return f"## Latency at 100 orders/s\n\n{text}\n\n" + table(("until", "p50", "p95", "p99", "max"), rows)
