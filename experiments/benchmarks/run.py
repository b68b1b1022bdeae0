"""Benchmarks: what a part costs beside the least that could work. `./lab bench` runs one and writes its report.

All contestants run at the same time on the same machine and take turns, round by round; what counts is the ratio within
a round. Raw samples are kept, and the report is made from them alone.
"""

import time
from collections.abc import Callable
from typing import Any

from lab.analysis import latency
from lab.errors import LabError
from lab.history import model as history
from lab.history.environment import environment
from lab.history.model import SAMPLES
from lab.load import generator
from lab.paths import RESULTS, STATE_DIR, relative

from benchmarks import part_a, part_b, part_c, tools
from benchmarks import report as bench_report

IDLE_PORT = 8300


def run(what: str, *, quick: bool, say: Callable[[str], None]) -> None:
    """Run a benchmark and write its report. Raises LabError."""
    if what not in BENCHMARKS:
        raise LabError(f"there is no benchmark of {what}", f"there are: {', '.join(BENCHMARKS)}")
    lines = BENCHMARKS[what](quick, say)
    head = {"benchmark": what, "quick": quick, "environment": environment("local")}
    folder = (STATE_DIR / "quick" if quick else RESULTS) / "bench" / what
    folder.mkdir(parents=True, exist_ok=True)
    history.write_lines(folder / SAMPLES, [head, *lines])
    say(bench_report.make(folder))
    say(f"report: {relative(folder)}/report.md")


def _measure_load(quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Drive a server that does nothing at 300 orders/s: what is late is the load generator's own fault."""
    seconds = 5.0 if quick else 30.0
    say(f"300 orders/s for {seconds:.0f} s against a server that does nothing")
    record = part_a.start_rival("floor", "inventory", IDLE_PORT - 1)
    try:
        tools.wait_for(IDLE_PORT)
        return [_lateness(seconds, poisson) for poisson in (False, True)]
    finally:
        record.stop()


def _lateness(seconds: float, poisson: bool) -> dict[str, Any]:
    plan = generator.Plan("bench", rate=300.0, seconds=seconds, poisson=poisson)
    sent, _, _ = generator.run(plan, f"http://127.0.0.1:{IDLE_PORT}", generator.monotonic_since(time.monotonic()))
    invoked = [e for e in sent if e["type"] == "invoke"]
    late = latency.Latencies(e["at"] - e["intended"] for e in invoked)
    name = "Poisson" if poisson else "even"
    kept = {"sent": len(invoked), "ok": sum(e["type"] == "ok" for e in sent), "seconds": seconds}
    return {"what": "lateness", "name": name, **kept, **late.figures()}


BENCHMARKS = {
    "sync-rest": part_a.measure,
    "async-rabbitmq": part_b.measure,
    "streaming-kafka": part_c.measure,
    "load": _measure_load,
}
