"""What Part B's benchmark says: its goals and the sections of its report, from the samples alone."""

from statistics import median

from lab.report.format import shown_time, table

from benchmarks.goals import (
    MOST_CLIENTS,
    Samples,
    accept_section,
    accepted,
    at_least,
    at_most,
    completion_section,
    cost_sections,
    largest,
    memory_section,
    of,
    over_rounds,
    rate_rows,
    rates,
    ratios,
)

ACCEPT_OF_ALONE = 0.5
MANY_OF_ONE = 1.0
DRAIN_RATE = 3_000
DRAIN_OF_FLOOR = 0.4
COMPLETED_OF_ACCEPTED = 0.8
COMPLETION_P99 = 0.050
MEMORY_MIB = 150
DRAINS = {"service": "inventory", "republish": "floor: republish, confirmed", "ack": "floor: acknowledge only"}
ACCEPTED = (
    "Closed loop with a cheap client; medians of the rounds. The order service stores, and publishes to RabbitMQ with "
    "confirms, on the same two cores; inventory is paused, so that nobody works on what was accepted (that is what "
    "*End to end* shows). The same app alone has the frame, the rules and the answer; it stores nothing and tells "
    "nobody."
)


def judge(samples: Samples) -> tuple[Samples, list[str]]:
    """Return the goals with their verdicts, and the sections of the report."""
    sections = [accept_section(samples, ACCEPTED), _end_to_end_section(samples), _drain_section(samples)]
    sections += [completion_section(samples), memory_section(largest(samples)), *cost_sections(samples)]
    return _goals(samples), sections


def _goals(samples: Samples) -> Samples:
    drains = of(samples, "drain")
    p99 = [s["p99"] for s in of(samples, "completion") if s["p99"] is not None]
    mib = [s["mib"] for s in of(samples, "memory")]
    return [
        at_least(
            f"orders accepted/s at {MOST_CLIENTS} clients ÷ the same app alone",
            ACCEPT_OF_ALONE,
            over_rounds(samples, lambda mine: accepted(mine, "service") / accepted(mine, "alone")),
        ),
        at_least(
            f"orders accepted/s at {MOST_CLIENTS} clients ÷ at 1 client",
            MANY_OF_ONE,
            over_rounds(samples, lambda mine: accepted(mine, "service") / accepted(mine, "service", clients=1)),
        ),
        at_least(
            "a backlog is worked off, orders/s", DRAIN_RATE, [*rates(drains, "service", "orders").values()], "{:,.0f}"
        ),
        at_least("that ÷ the floor that republishes", DRAIN_OF_FLOOR, ratios(drains, "republish", "orders")),
        at_least("orders completed/s ÷ accepted/s", COMPLETED_OF_ACCEPTED, _completed_of_accepted(samples)),
        at_most("p99 of placed → notified at 100 orders/s", COMPLETION_P99, p99, shown_time, median),
        at_most("memory of a service with its gunicorn, the largest", MEMORY_MIB, mib, "{:.0f} MiB".format, max),
        at_most("orders lost, or not answered 202", 0, _lost(samples), "{:.0f}".format, sum),
    ]


def _completed_of_accepted(samples: Samples) -> list[float]:
    """Return the completed orders a second ÷ the accepted ones; of rounds in which every order was completed."""
    whole = [s for s in of(samples, "end to end") if 0 < s["orders"] == s["notified"]]
    return [s["accept_seconds"] / s["seconds"] for s in whole]


def _lost(samples: Samples) -> list[float]:
    """Return how many orders of each sample were not answered 202, or never notified of."""
    done = [s["bad"] + s["orders"] - s["notified"] for s in of(samples, "end to end")]
    done += [s["sent"] - s["notified"] for s in of(samples, "completion")]
    return done and done + [s["bad"] for s in of(samples, "closed")]


def _end_to_end_section(samples: Samples) -> str:
    rows = [
        (
            f"{s['orders']:,}",
            f"{s['notified']:,}",
            f"{s['orders'] / s['accept_seconds']:,.0f}",
            f"{s['notified'] / s['seconds']:,.0f}" if s["seconds"] else "–",
            f"{s['accept_seconds'] / s['seconds']:.2f}" if s["seconds"] else "–",
        )
        for s in of(samples, "end to end")
    ]
    text = f"Placed by {MOST_CLIENTS} clients without a pause. The completed ones count until the last was notified."
    columns = ("orders", "notified", "accepted/s", "completed/s", "completed ÷ accepted")
    return f"## End to end\n\n{text}\n\n" + table(columns, rows)


def _drain_section(samples: Samples) -> str:
    return (
        "## A backlog worked off\n\nThe consumers are paused while orders are placed; then inventory is let go, and "
        "when it is done the others. Its rate is from the times of its reservations. The floors are bare pika "
        "consumers, each on a queue of the same kind, and like inventory alone with RabbitMQ.\n\n"
        + table(("contestant", "orders/s", "inventory ÷ it"), rate_rows(of(samples, "drain"), DRAINS, "orders"))
    )
