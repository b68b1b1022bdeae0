"""Part A's benchmark: the chain beside a bare baseline, beside what classes hand in, not pinned, and with a pool."""

from benchmarks.baselines import BASELINES
from benchmarks.measure import Bench, open_loop

BESIDE = ("bare", "naive", "unpinned", "pool")


def run(bench: Bench) -> None:
    """Take the samples of Part A's benchmark."""
    rounds, seconds, opens = (2, 1.0, 1) if bench.quick else (9, 1.2, 5)  # many and short: a machine's speed drifts
    with bench.up(*BESIDE) as services:
        ports = {"service": services["order"].port} | {name: BASELINES[name].port for name in BESIDE}
        bench.warm_up(ports.values())
        for _ in bench.rounds(rounds, "closed loops"):
            for clients in (1, 8, 20):
                for name, port in ports.items():
                    bench.closed(name, port, clients, seconds)
        for _ in bench.rounds(opens, "100 orders/s"):
            for name, port in ports.items():
                bench.add("open", name, **open_loop(port, 3.0 if bench.quick else 5.0))
        bench.memory()
    bench.costs()
