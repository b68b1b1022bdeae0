"""Benchmarks: what the chain costs beside the least that could work and beside what classes hand in.

All contestants run at the same time on the same machine and take turns, round by round; what counts is the ratio within
a round. Raw samples are kept, and the report is made from them alone.
"""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil

from lab import bench_report, cheap_client, compose, figures, history, load, local, processes, runtime, story
from lab.places import HIDDEN, RESULTS, ROOT, LabError, part_named, shown

CLIENTS = (1, 8, 20)
SERVICES = ("order", "inventory", "notification")
# Each contestant's name and the port of its order service; inventory and notification follow.
RIVALS = {"floor": 8100, "naive": 8200}
UNPINNED = 8300


def run(what: str, *, quick: bool, say: Callable[[str], None]) -> None:
    """Run a benchmark and write its report. Raises LabError."""
    lines = _bench_load(quick, say) if what == "load" else _bench_part(part_named(what), quick, say)
    head = {"benchmark": what, "quick": quick, "environment": story.environment("local")}
    folder = (HIDDEN / "quick" if quick else RESULTS) / "bench" / what
    folder.mkdir(parents=True, exist_ok=True)
    history.write_lines(folder / bench_report.SAMPLES, [head, *lines])
    say(bench_report.make(folder))
    say(f"report: {shown(folder)}/report.md")


def _bench_part(part: str, quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    if part != "sync-rest":
        raise LabError(f"there is no benchmark of {part} yet", "./lab bench sync-rest, or ./lab bench load")
    rounds, seconds = (2, 1.0) if quick else (9, 1.2)  # many and short: the machine changes its mood
    lines: list[dict[str, Any]] = []
    with _contestants(part, say) as ports:
        for port in ports.values():
            cheap_client.drive(port, 8, 1.0)  # first requests load code and open connections
        for n in range(rounds):
            say(f"round {n + 1} of {rounds}")
            for clients in CLIENTS:
                for name, port in ports.items():
                    lines.append(_sample(name, port, clients, seconds) | {"round": n})
        say("open loop, 100 orders/s")
        for n in range(1 if quick else 3):
            for name, port in ports.items():
                lines.append(_open_loop(name, port, 3.0 if quick else 5.0) | {"round": n})
        lines += _memory(part)
    lines += _costs(part, say)
    return lines


def _sample(name: str, port: int, clients: int, seconds: float) -> dict[str, Any]:
    sample = cheap_client.drive(port, clients, seconds)
    times = figures.Latencies(sample.latencies).figures()
    return {"what": "closed", "name": name, "clients": clients, "rate": sample.rate, "bad": sample.bad, **times}


def _open_loop(name: str, port: int, seconds: float) -> dict[str, Any]:
    plan = load.Plan("bench", rate=100.0, seconds=seconds)
    lines, began, until = load.run(plan, f"http://127.0.0.1:{port}", load.monotonic_since(time.monotonic()))
    phase = {"at": began, "type": "phase", "phase": "bench", "params": plan.params(), "until": until}
    done = figures.of_phases(history.Run({}, [phase, *lines]))["bench"]
    kept = ("sent", "ok", "p50", "p95", "p99", "max", "late", "lateness_p99")
    return {"what": "open", "name": name, **{key: done[key] for key in kept}}


def _memory(part: str) -> list[dict[str, Any]]:
    """Return the resident memory of each service with its gunicorn, after the load."""
    chosen, lines = local.LocalRuntime(), []
    for service in compose.services(part).values():
        leader = psutil.Process(chosen.pid(service))
        family = [leader, *leader.children(recursive=True)]
        mib = sum(process.memory_info().rss for process in family) / 2**20
        lines.append({"what": "memory", "service": service.name, "mib": mib})
    return lines


def _costs(part: str, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return where a request's processor time goes, measured in one process by the part's own script."""
    say("where the time goes, part by part")
    script = ROOT / part / "tests" / "cost_by_part.py"
    path = os.pathsep.join([str(ROOT / "common"), str(ROOT / part), str(ROOT / "experiments")])
    log = HIDDEN / "bench" / "costs.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    record = processes.start([sys.executable, str(script)], folder=ROOT, env=os.environ | {"PYTHONPATH": path}, log=log)
    process = record.process()
    if process is not None:
        process.wait(timeout=120)
    try:
        return [{"what": "cost", **json.loads(line)} for line in log.read_text().splitlines()]
    except ValueError:
        raise LabError(f"{shown(script)} failed", f"see {shown(log)}") from None


@contextlib.contextmanager
def _contestants(part: str, say: Callable[[str], None]) -> Iterator[dict[str, int]]:
    """Start the chain, the chain without pinning, the floor and the naive chain; yield their ports; stop them all."""
    chosen = local.LocalRuntime()
    records: list[processes.Record] = []
    try:
        runtime.up(chosen, part, fresh=True, say=say)
        for name, port in RIVALS.items():
            records += [_start_rival(name, service, port) for service in SERVICES]
        records += [_start_unpinned(part, service) for service in SERVICES]
        ports = {"chain": compose.services(part)["order"].port, "unpinned": UNPINNED} | RIVALS
        for port in ports.values():
            _wait_for(port)
        yield ports
    finally:
        for record in records:
            record.stop()
        runtime.down(chosen, part)


def _start_rival(name: str, service: str, port: int) -> processes.Record:
    offset = SERVICES.index(service)
    ours = compose.services("sync-rest")[service].environment
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "experiments"), str(ROOT / "common")]),
        "PORT": str(port + offset),
        "INVENTORY_PORT": str(port + 1),
        "NOTIFICATION_PORT": str(port + 2),
        "THREADS": ours["THREADS"],
        "PIN_CPU": ours["PIN_CPU"],
    }
    gunicorn = [sys.executable, "-m", "gunicorn", "-c", "python:lab.contestants.floor_conf"]
    command = {
        "floor": [*gunicorn, f"lab.contestants.floor:{service}"],
        "naive": [sys.executable, "-m", "lab.contestants.naive", service],
    }[name]
    return processes.start(command, folder=ROOT, env=env, log=HIDDEN / "bench" / f"{name}-{service}.log")


def _start_unpinned(part: str, service: str) -> processes.Record:
    ours = compose.services(part)[service]
    data = HIDDEN / "bench" / f"{service}.db"
    for file in data.parent.glob(f"{data.name}*"):
        file.unlink()
    env = os.environ | {
        "PYTHONPATH": os.pathsep.join([str(ROOT / "common"), str(ROOT / part)]),
        "PORT": str(UNPINNED + SERVICES.index(service)),
        "THREADS": ours.environment["THREADS"],
        "DATABASE_URL": f"sqlite:///{data}",
        "INVENTORY_URL": f"http://127.0.0.1:{UNPINNED + 1}",
        "NOTIFICATION_URL": f"http://127.0.0.1:{UNPINNED + 2}",
    }
    command = [sys.executable, "-m", *ours.command]
    return processes.start(command, folder=ROOT / part, env=env, log=HIDDEN / "bench" / f"unpinned-{service}.log")


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ConnectionError):
            cheap_client.drive(port, 1, 0.01)
            return
        time.sleep(0.1)
    raise LabError(f"the benchmark's server on port {port} did not start", "see the logs in .lab/bench")


def _bench_load(quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Drive a server that does nothing at 300 orders/s: what is late is the load generator's own fault."""
    seconds = 5.0 if quick else 30.0
    say(f"300 orders/s for {seconds:.0f} s against a server that does nothing")
    record = _start_rival("floor", "inventory", UNPINNED - 1)
    try:
        _wait_for(UNPINNED)
        lines = []
        for poisson in (False, True):
            plan = load.Plan("bench", rate=300.0, seconds=seconds, poisson=poisson)
            sent, _, _ = load.run(plan, f"http://127.0.0.1:{UNPINNED}", load.monotonic_since(time.monotonic()))
            invoked = [e for e in sent if e["type"] == "invoke"]
            late = figures.Latencies(e["at"] - e["intended"] for e in invoked)
            name = "Poisson" if poisson else "even"
            kept = {"sent": len(invoked), "ok": sum(e["type"] == "ok" for e in sent), "seconds": seconds}
            lines.append({"what": "lateness", "name": name, **kept, **late.figures()})
        return lines
    finally:
        record.stop()
