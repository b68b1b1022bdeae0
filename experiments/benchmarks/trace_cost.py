"""What recording messages costs: processor time of the services for an order, with TRACE_ORDERS=20 and without.

Usage, on an idle machine, with nothing up (12 minutes; `--quick` 2 minutes):

    PYTHONPATH=experiments:common .lab/venv/bin/python -m benchmarks.trace_cost [--quick]

Prints a line for each pair of runs: µs an order without and with it. The verdict of a part is about the median ratio.
Exit status: 0 each part needs less than 2 % more, 1 one needs more.
"""

import os
import statistics
import sys

from lab.history import growth

from benchmarks import measure, raw_client

PARTS = {"sync-rest": 201, "streaming-kafka": 202}  # with the status of an order
CLIENTS, PAIRS, MAX_RATIO = 8, 5, 1.02


def cost(part: str, traced: bool, seconds: float) -> float:
    """Start a part, load it for so many seconds, and return the processor time of an order, in µs."""
    os.environ["TRACE_ORDERS"] = "20" if traced else ""
    bench = measure.Bench(part, quick=True, say=lambda _: None)
    with bench.up() as services:
        since, port = measure.mark(services), services["order"].port
        bench.warm_up()
        measure.settle(services, since)
        ours = {name: service for name, service in services.items() if not service.is_broker}
        used = sum(growth.processor_seconds(ours).values())
        sample = raw_client.drive(port, CLIENTS, seconds, wanted=PARTS[part])
        measure.settle(services, since)
        return 1e6 * (sum(growth.processor_seconds(ours).values()) - used) / len(sample.latencies)


def ratio_of(part: str, pairs: int, seconds: float) -> float:
    """Return the median of some pairs; the one that is measured first is not always the same."""
    ratios = []
    for n in range(pairs):
        found = {traced: cost(part, traced, seconds) for traced in ((False, True) if n % 2 else (True, False))}
        ratios.append(found[True] / found[False])
        print(f"{part}: {found[False]:.0f} µs an order, recorded {found[True]:.0f} µs: {ratios[-1]:.3f}", flush=True)
    return statistics.median(ratios)


def main(*, quick: bool) -> int:
    """Measure, print and return the exit status."""
    pairs, seconds = (2, 3.0) if quick else (PAIRS, 20.0)
    ratios = {part: ratio_of(part, pairs, seconds) for part in PARTS}
    for part, ratio in ratios.items():
        print(f"{'pass' if ratio < MAX_RATIO else 'fail'}: {part}: {ratio:.3f}, to be less than {MAX_RATIO}")
    return int(max(ratios.values()) >= MAX_RATIO)


if __name__ == "__main__":
    sys.exit(main(quick="--quick" in sys.argv[1:]))
