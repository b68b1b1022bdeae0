"""What recording messages costs the orders that are not recorded: the share of an order's processor time.

Usage, on an idle machine, with nothing up (2 minutes):

    PYTHONPATH=experiments:common .lab/venv/bin/python -m benchmarks.trace_cost

An order's processor time is measured with services that record nothing; a look at whether an order is recorded is timed
by itself, and counted as often as an order of the committed baseline has a line in its trace. Two loads, one with and
one without recording, differ by 10 % on the same machine, so their difference cannot show 2 %.
Exit status: 0 each part needs less than 2 % more, 1 one needs more.
"""

import os
import sys
import timeit
from collections import Counter

from campus import trace
from lab.growth.grow import processor_seconds
from lab.history import model
from lab.paths import RESULTS

from benchmarks import measure, raw_client

BASELINES = {"sync-rest": "a1_baseline", "async-rabbitmq": "b1_baseline", "streaming-kafka": "c5_broker"}
CLIENTS, SECONDS, MAX_SHARE = 8, 20.0, 0.02
MESSAGE = b'{"event_id": "e", "event_type": "OrderPlaced", "schema_version": 1, "order_id": "not recorded", "data": {}}'
TIMES = 20_000


def order_cost(part: str) -> float:
    """Start a part, load it, and return the processor time of an order, in seconds."""
    bench = measure.Bench(part, quick=True, say=lambda _: None)
    with bench.up() as services:
        since, port = measure.mark(services), services["order"].port
        bench.warm_up()
        measure.settle(services, since)
        ours = {name: service for name, service in services.items() if not service.is_broker}
        used = sum(processor_seconds(ours).values())
        sample = raw_client.drive(port, CLIENTS, SECONDS, wanted=201 if part == "sync-rest" else 202)
        measure.settle(services, since)
        return (sum(processor_seconds(ours).values()) - used) / len(sample.latencies)


def look_cost() -> float:
    """Return the time of one look, in seconds: which order a message is about, and that it is not recorded."""

    def look() -> None:
        trace.note("message", trace.order_of(MESSAGE), "order-placed", to="broker", event_id="e")

    look()
    return min(timeit.repeat(look, number=TIMES, repeat=5)) / TIMES


def looks_of(part: str) -> int:
    """Return how many lines the order with the most has in the trace of the part's committed baseline."""
    lines = model.read(RESULTS / part / BASELINES[part]).trace
    return max(Counter(line.get("order_id") for line in lines).values())


def main() -> int:
    """Measure, print and return the exit status."""
    trace.on, trace._trace = True, trace.Trace(0)
    each, worst = look_cost(), 0.0
    os.environ["TRACE_ORDERS"] = ""
    for part in BASELINES:
        looks, order = looks_of(part), order_cost(part)
        share = looks * each / order
        worst = max(worst, share)
        print(
            f"{'pass' if share < MAX_SHARE else 'fail'}: {part}: {looks} looks of {1e6 * each:.2f} µs, "
            f"an order takes {1e6 * order:,.0f} µs: {100 * share:.2f} %, to be less than {100 * MAX_SHARE:g} %",
            flush=True,
        )
    return int(worst >= MAX_SHARE)


if __name__ == "__main__":
    sys.exit(main())
