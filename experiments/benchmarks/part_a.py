"""Part A's benchmark: the chain beside a bare baseline, beside what classes hand in, not pinned, and with a pool."""

from benchmarks.measure import Bench, open_loop


def run(bench: Bench) -> None:
    """Take the samples of Part A's benchmark."""
    rounds, seconds, opens = (2, 1.0, 1) if bench.quick else (9, 1.2, 5)  # many and short: a machine's speed drifts
    with bench.up("bare", "naive", "unpinned", "pool"):
        bench.warm_up()
        for _ in bench.rounds(rounds, "closed loops"):
            for clients in (1, 8, 20):
                for name, port in bench.ports.items():
                    bench.closed(name, port, clients, seconds)
        for _ in bench.rounds(opens, "100 orders/s"):
            for name, port in bench.ports.items():
                bench.add("open", name, **open_loop(port, 3.0 if bench.quick else 5.0))
        bench.memory()
    bench.costs()
