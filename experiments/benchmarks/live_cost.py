"""What the page of `./lab live` costs: A1's open loop with it and without it, five runs each, in turns.

Usage, on an idle machine, with nothing up (3 minutes; `--quick` 20 s):

    PYTHONPATH=experiments:common .lab/venv/bin/python -m benchmarks.live_cost [--quick]

Prints one line a run: the p50 and p99 of 100 orders/s, and with the page its share of a core and its memory. The last
lines are the verdict: the p99 with the page is within the spread of those without it, and the page needs at most 10 %
of a core and 150 MiB. Exit status: 0 yes, 1 no.
"""

import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import requests
from lab.analysis import latency
from lab.history import loads
from lab.load.generator import Plan
from lab.paths import ROOT
from lab.runtime import lifecycle
from lab.services import services_of

PORT = 8030
RATE, ROUNDS = 100.0, 5
MAX_SHARE, MAX_MIB = 0.10, 150.0


@contextmanager
def page() -> Iterator[psutil.Process]:
    """Run the page, with one browser's stream of events, and yield its process."""
    command = [sys.executable, "-m", "lab", "live", "--port", str(PORT)]
    process = psutil.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    try:
        process.stdout.readline()  # its address: it is ready
        threading.Thread(target=_read_events, daemon=True).start()
        yield process
    finally:
        process.terminate()
        process.wait(10)


def _read_events() -> None:
    try:
        with requests.get(f"http://127.0.0.1:{PORT}/events", stream=True, timeout=60) as answer:
            for _ in answer.iter_content(65536):
                pass
    except requests.RequestException:  # the page was ended
        return


def measure(seconds: float) -> tuple[float, float]:
    """Send the load once and return its p50 and p99, in ms."""
    run = loads.run(Plan("open100", rate=RATE, seconds=seconds), services_of("sync-rest")["order"].url, None)
    figures = latency.of_phases(run)["open100"]
    return 1000 * figures["p50"], 1000 * figures["p99"]


def main(*, quick: bool) -> int:
    """Measure, print and return the exit status."""
    seconds, rounds = (3.0, 2) if quick else (15.0, ROUNDS)
    runtime = lifecycle.choose()
    lifecycle.up(runtime, "sync-rest", fresh=True, say=print)
    p99: dict[str, list[float]] = {"without": [], "with": []}
    shares, memory = [], []
    try:
        measure(seconds)  # warm
        for _ in range(rounds):
            p50, last = measure(seconds)
            p99["without"].append(last)
            print(f"without the page: p50 {p50:.2f} ms, p99 {last:.2f} ms", flush=True)
            with page() as process:
                time.sleep(2)  # it has read what there was
                used, began = sum(process.cpu_times()[:2]), time.monotonic()
                p50, last = measure(seconds)
                shares.append((sum(process.cpu_times()[:2]) - used) / (time.monotonic() - began))
                memory.append(process.memory_info().rss / 2**20)
            p99["with"].append(last)
            print(f"with the page:    p50 {p50:.2f} ms, p99 {last:.2f} ms; "
                  f"{100 * shares[-1]:.1f} % of a core, {memory[-1]:.0f} MiB", flush=True)  # fmt: skip
    finally:
        lifecycle.down(runtime, "sync-rest")
    low, high = min(p99["without"]), max(p99["without"])
    middle = sorted(p99["with"])[rounds // 2]
    holds = {
        f"median p99 with the page {middle:.2f} ms, without it {low:.2f} to {high:.2f} ms": middle <= high,
        f"processor: at most {100 * max(shares):.1f} % of a core (limit {100 * MAX_SHARE:.0f} %)": max(shares)
        <= MAX_SHARE,
        f"memory: at most {max(memory):.0f} MiB (limit {MAX_MIB:.0f} MiB)": max(memory) <= MAX_MIB,
    }
    for sentence, verdict in holds.items():
        print(f"{'pass' if verdict else 'fail'}: {sentence}")
    return 0 if all(holds.values()) else 1


if __name__ == "__main__":
    sys.exit(main(quick="--quick" in sys.argv[1:]))
