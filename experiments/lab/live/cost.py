"""What the page of `./lab live` costs: A1's open loop with it and without it, five runs each, in turns.

Usage, on an idle machine, with nothing up (under 5 minutes; `--quick` 30 s):

    PYTHONPATH=experiments:common .lab/venv/bin/python -m lab.live.cost [--quick]

Prints one line a run: how many orders the part has had, the p50 and p99 of 100 orders/s, and with the page its share of
a core and its memory. Each run adds 1,500 orders, so the last ones have more than 10,000. The last lines are the
verdict: the p99 with the page is within the spread of those without it; the page needs at most 10 % of a core and
150 MiB, in the last run, too; and no figure was older than a second. Exit status: 0 yes, 1 no.
"""

import contextlib
import http.client
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

import psutil

from lab.analysis import latency
from lab.history import loads
from lab.load.generator import Plan
from lab.paths import ROOT
from lab.runtime import lifecycle
from lab.services import services_of

PORT = 8030
RATE, ROUNDS = 100.0, 5
MAX_SHARE, MAX_MIB, MAX_AGE = 0.10, 150.0, 1.0
PART = "sync-rest"


def figures(port: int) -> Iterator[dict[str, Any]]:
    """Yield what the page shows, each time when it changes, as one browser reads it, until the page ends."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=60)
    with contextlib.suppress(OSError, http.client.HTTPException):  # the page was ended
        connection.request("GET", "/events")
        answer = connection.getresponse()
        while line := answer.readline():
            if line.startswith(b'data: {"now'):
                yield json.loads(line[6:])


@dataclass
class Browser:
    """One browser, which looks whether the page has read all, and how old its figures are."""

    read_all: threading.Event = field(default_factory=threading.Event)  # all that there was has been read and checked
    oldest: float = 0.0  # the largest age of figures when new ones came, in seconds, since it was last set to 0
    _at: float = 0.0

    def follow(self) -> None:
        """Read until the page ends."""
        for shown in figures(PORT):
            part = next(each for each in shown["parts"] if each["part"] == PART)
            if part["up"]:
                self.oldest = max(self.oldest, time.time() - (self._at or part["at"]))
                self._at = part["at"]
                if not part["reading"] and not part["promises"]["so_far"]:
                    self.read_all.set()


@contextlib.contextmanager
def page() -> Iterator[tuple[psutil.Process, Browser]]:
    """Run the page with one browser, and yield its process when it has read what there was."""
    command = [sys.executable, "-m", "lab", "live", "--port", str(PORT)]
    process, browser = psutil.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True), Browser()
    try:
        process.stdout.readline()  # its address: it is ready
        threading.Thread(target=browser.follow, daemon=True).start()
        if not browser.read_all.wait(60):
            raise RuntimeError("the page did not read the orders of before in 60 s")
        yield process, browser
    finally:
        process.terminate()
        process.wait(10)


def measure(seconds: float) -> tuple[float, float]:
    """Send the load once and return its p50 and p99, in ms."""
    run = loads.run(Plan("open100", rate=RATE, seconds=seconds), services_of(PART)["order"].url, None)
    done = latency.of_phases(run)["open100"]
    return 1000 * done["p50"], 1000 * done["p99"]


def main(*, quick: bool) -> int:
    """Measure, print and return the exit status."""
    seconds, rounds = (3.0, 2) if quick else (15.0, ROUNDS)
    runtime = lifecycle.choose()
    lifecycle.up(runtime, PART, fresh=True, say=print)
    p99: dict[str, list[float]] = {"without": [], "with": []}
    shares, memory, ages = [], [], []
    try:
        measure(seconds)  # warm
        orders = RATE * seconds
        for _ in range(rounds):
            p50, last = measure(seconds)
            p99["without"].append(last)
            orders += RATE * seconds
            print(f"without the page: {orders:,.0f} orders, p50 {p50:.2f} ms, p99 {last:.2f} ms", flush=True)
            began = time.monotonic()
            with page() as (process, browser):
                read, browser.oldest = time.monotonic() - began, 0.0
                used, began = sum(process.cpu_times()[:2]), time.monotonic()
                p50, last = measure(seconds)
                shares.append((sum(process.cpu_times()[:2]) - used) / (time.monotonic() - began))
                memory.append(process.memory_info().rss / 2**20)
                ages.append(browser.oldest)
            p99["with"].append(last)
            print(f"with the page:    {orders + RATE * seconds:,.0f} orders, p50 {p50:.2f} ms, p99 {last:.2f} ms; "
                  f"{100 * shares[-1]:.1f} % of a core, {memory[-1]:.0f} MiB, figures at most {ages[-1]:.2f} s old; "
                  f"the {orders:,.0f} of before were read and checked {read:.1f} s after its start",
                  flush=True)  # fmt: skip
            orders += RATE * seconds
    finally:
        lifecycle.down(runtime, PART)
    low, high = min(p99["without"]), max(p99["without"])
    middle = sorted(p99["with"])[rounds // 2]
    holds = {
        f"median p99 with the page {middle:.2f} ms, without it {low:.2f} to {high:.2f} ms": middle <= high,
        f"processor: {100 * shares[0]:.1f} % of a core at first, {100 * shares[-1]:.1f} % at {orders:,.0f} orders, "
        f"at most {100 * max(shares):.1f} % (limit {100 * MAX_SHARE:.0f} %)": max(shares) <= MAX_SHARE,
        f"memory: {memory[0]:.0f} MiB at first, {memory[-1]:.0f} at {orders:,.0f} orders, at most "
        f"{max(memory):.0f} MiB (limit {MAX_MIB:.0f} MiB)": max(memory) <= MAX_MIB,
        f"figures at most {max(ages):.2f} s old (limit {MAX_AGE:.0f} s)": max(ages) <= MAX_AGE,
    }
    for sentence, verdict in holds.items():
        print(f"{'pass' if verdict else 'fail'}: {sentence}")
    return 0 if all(holds.values()) else 1


if __name__ == "__main__":
    sys.exit(main(quick="--quick" in sys.argv[1:]))
