"""What Part C's benchmark says: its goals and the sections of its report, from the samples alone."""

from statistics import median
from typing import Any

from lab.report.format import shown_time, table

from benchmarks.goals import (
    Samples,
    accept_section,
    at_least,
    at_most,
    completion_section,
    cost_sections,
    largest,
    memory_section,
    of,
    rate_rows,
    rates,
    ratios,
)

BULK_OF_BARE = 0.8
DRAIN_RATE = 3_500
DRAIN_OF_BARE = 0.4
REPLAY_RATE = 30_000
COMPLETION_P99 = 0.100
MEMORY_MIB = 170
SIZES = ("small", "large")
BULKS = {
    "service": "the order service",
    "kafka-python": "kafka-python, bare",
    "confluent-kafka": "confluent-kafka, bare",
}
DRAINS = {
    "service": "inventory",
    "commit": "bare: poll, produce, commit",
    "transaction": "bare: in a Kafka transaction",
}
REPLAYS = {"service": "analytics", "read": "bare: poll, decode"}
ACCEPTED = (
    "Closed loop with a cheap client; medians of the rounds. The order service writes an order down, answers when "
    "Kafka has acknowledged it, and reads it back from the log, all on one core; the other services are paused. The "
    "same app alone has the frame, the rules and the answer; it stores nothing and tells nobody."
)


def judge(samples: Samples) -> tuple[Samples, list[str]]:
    """Return the goals with their verdicts, and the sections of the report."""
    sections = [_bulk_section(samples), accept_section(samples, ACCEPTED), _drain_section(samples)]
    sections += [_replay_section(samples), completion_section(samples), memory_section(largest(samples))]
    return _goals(samples), [*sections, *cost_sections(samples)]


def _goals(samples: Samples) -> Samples:
    drains = of(samples, "drain")
    drained, replayed = (rates(mine, "service", "events").values() for mine in (drains, of(samples, "replay")))
    p99 = [s["p99"] for s in of(samples, "completion") if s["p99"] is not None]
    mib = [s["mib"] for s in of(samples, "memory")]
    return [
        *(_bulk_goal(samples, size) for size in SIZES),
        at_least("a backlog is worked off, orders/s", DRAIN_RATE, [*drained], "{:,.0f}"),
        at_least("that ÷ a bare loop: poll, produce, commit", DRAIN_OF_BARE, ratios(drains, "commit", "events")),
        at_least("analytics reads the log again, events/s", REPLAY_RATE, [*replayed], "{:,.0f}"),
        at_most("p99 of placed → notified at 100 orders/s", COMPLETION_P99, p99, shown_time, median),
        at_most("memory of a service with its gunicorn, the largest", MEMORY_MIB, mib, "{:.0f} MiB".format, max),
        at_most("orders lost, not acknowledged, or not answered 202", 0, _lost(samples), "{:.0f}".format, sum),
    ]


def _bulk_goal(samples: Samples, size: str) -> dict[str, Any]:
    mine = _bulks(samples, size)
    name = f"{mine[0]['orders']:,} orders in one request" if mine else f"the {size} request of many orders"
    return at_least(f"{name} ÷ bare kafka-python", BULK_OF_BARE, ratios(mine, "kafka-python", "orders"))


def _bulks(samples: Samples, size: str) -> Samples:
    return [s for s in of(samples, "bulk") if s["size"] == size]


def _lost(samples: Samples) -> list[float]:
    """Return how many orders of each sample went wrong; nothing when not all was measured.

    They were not acknowledged, not worked off, never notified of, or not answered 202.
    """
    kinds = [
        *([s["orders"] - s["acknowledged"] for s in _bulks(samples, size)] for size in SIZES),
        [s["placed"] - s["events"] for s in of(samples, "drain")],
        [s["sent"] - s["notified"] for s in of(samples, "completion")],
        [s["bad"] for s in of(samples, "closed")],
    ]
    return [lost for kind in kinds for lost in kind] if all(kinds) else []


def _bulk_section(samples: Samples) -> str:
    rows = []
    for size in SIZES:
        mine = _bulks(samples, size)
        if mine:
            rows += [(f"{mine[0]['orders']:,}", *row) for row in rate_rows(mine, BULKS, "orders")]
    clients = sorted({s["client"] for s in of(samples, "bulk") if "client" in s})
    text = (
        "One `POST /orders/bulk`, from the request until the answer, which comes when Kafka has acknowledged every "
        "event. The bare loops encode, send, and wait until events of the same shape and size are acknowledged; "
        "connecting is not in it. Each has the order service's core; meanwhile nobody consumes."
    )
    columns = ("orders", "contestant", "orders/s", "the service ÷ it")
    return f"## Many orders in one request\n\n{text} {', '.join(clients)}.\n\n" + table(columns, rows)


def _drain_section(samples: Samples) -> str:
    text = (
        "The consumers are paused while orders are placed; then inventory is let go alone. Its rate counts from its "
        "first reservation until its last batch is committed. The bare loops read the same records on the same core, "
        "decode, encode and produce them, and commit the offsets; they have no rules and no database."
    )
    rows = rate_rows(of(samples, "drain"), DRAINS, "events")
    return f"## A backlog worked off\n\n{text}\n\n" + table(("contestant", "orders/s", "inventory ÷ it"), rows)


def _replay_section(samples: Samples) -> str:
    mine = of(samples, "replay")
    count = max((s["events"] for s in mine), default=0)
    return (
        f"## The log read again\n\nAll {count:,.0f} events from the beginning: analytics is stopped, its offsets are "
        "reset, and it is started. Its rate counts from the first work seen until there is none left, looking every "
        "50 ms. The bare loop polls and decodes the same records on the same core, and counts nothing.\n\n"
        + table(("contestant", "events/s", "analytics ÷ it"), rate_rows(mine, REPLAYS, "events"))
    )
