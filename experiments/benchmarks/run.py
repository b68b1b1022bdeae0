"""Benchmarks: what a part costs beside baselines. `./lab bench` runs one and writes its report.

All baselines run at the same time on the same machine, on the same cores as the services, and take turns, round by
round; what counts is the ratio within a round. Raw samples are kept, and the report is made from them alone.
"""

import time
from collections.abc import Callable

from campus.readiness import versions
from lab.analysis import latency
from lab.errors import LabError
from lab.history import model as history
from lab.history.environment import commit_of_run
from lab.history.model import SAMPLES
from lab.load import generator
from lab.paths import RESULTS, STATE_DIR, relative
from lab.runtime.local import LocalRuntime

from benchmarks import baselines, part_a, part_b, part_c, report
from benchmarks.measure import Bench


def run(what: str, *, quick: bool, say: Callable[[str], None]) -> None:
    """Run a benchmark and write its report. Raises LabError."""
    if what not in BENCHMARKS:
        raise LabError(f"there is no benchmark of {what}", f"there are: {', '.join(BENCHMARKS)}")
    bench = Bench(what, quick, say)
    time.sleep(2)
    bench.look("before")
    BENCHMARKS[what](bench)
    local = LocalRuntime()  # services and baselines run here, with the packages of this process
    environment = {"commit": commit_of_run(), "runtime": local.name, **local.facts({}), "versions": versions()}
    head = {"benchmark": what, "quick": quick, "environment": environment}
    folder = (STATE_DIR / "quick" if quick else RESULTS) / "bench" / what
    folder.mkdir(parents=True, exist_ok=True)
    history.write_lines(folder / SAMPLES, [head, *bench.samples])
    say(report.make(folder))
    say(f"report: {relative(folder)}/report.md")


def measure_load(bench: Bench) -> None:
    """Send 300 orders/s to a server that does nothing: what is late is the load generator's own fault."""
    seconds = 5.0 if bench.quick else 30.0
    bench.say(f"300 orders/s for {seconds:.0f} s against a server that does nothing")
    with baselines.running("idle", "sync-rest") as port:
        for name in ("even", "Poisson"):
            plan = generator.Plan("bench", rate=300.0, seconds=seconds, poisson=name == "Poisson")
            sent, _, _ = generator.run(plan, f"http://127.0.0.1:{port}", generator.monotonic_since(time.monotonic()))
            late = latency.figures(e["at"] - e["intended"] for e in sent if e["type"] == "invoke")
            ends = [e["type"] for e in sent]
            counts = {"sent": ends.count("invoke"), "ok": ends.count("ok"), "seconds": seconds}
            bench.add("lateness", name, **counts, **late)
            bench.look(name)


BENCHMARKS = {
    "sync-rest": part_a.run,
    "async-rabbitmq": part_b.run,
    "streaming-kafka": part_c.run,
    "load": measure_load,
}
