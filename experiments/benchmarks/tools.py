"""What the benchmarks share: samples of a server's speed, memory and costs, and servers to compare with."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import psutil
from lab.analysis import latency
from lab.errors import LabError
from lab.history import model as history
from lab.load import generator
from lab.paths import ROOT, STATE_DIR, relative
from lab.runtime import local, processes
from lab.services import services_of

from benchmarks import raw_client


def closed(name: str, port: int, clients: int, seconds: float, *, wanted: int = 201) -> dict[str, Any]:
    """Return the rate and the latencies of a closed loop; an answer with another status than `wanted` is bad."""
    sample = raw_client.drive(port, clients, seconds, wanted=wanted)
    times = latency.Latencies(sample.latencies).figures()
    return {"what": "closed", "name": name, "clients": clients, "rate": sample.rate, "bad": sample.bad, **times}


def open_loop(name: str, port: int, seconds: float) -> dict[str, Any]:
    """Return the latencies of 100 orders/s in an open loop."""
    plan = generator.Plan("bench", rate=100.0, seconds=seconds)
    lines, began, until = generator.run(plan, f"http://127.0.0.1:{port}", generator.monotonic_since(time.monotonic()))
    phase = {"at": began, "type": "phase", "phase": "bench", "params": plan.params(), "until": until}
    done = latency.of_phases(history.Run({}, [phase, *lines]))["bench"]
    kept = ("sent", "ok", "p50", "p95", "p99", "max", "late", "lateness_p99")
    return {"what": "open", "name": name, **{key: done[key] for key in kept}}


def memory(part: str) -> list[dict[str, Any]]:
    """Return the resident memory of each service of ours with its gunicorn."""
    chosen, lines = local.LocalRuntime(), []
    for service in services_of(part).values():
        if service.is_broker:
            continue
        leader = psutil.Process(chosen.pid(service))
        family = [leader, *leader.children(recursive=True)]
        mib = sum(process.memory_info().rss for process in family) / 2**20
        lines.append({"what": "memory", "service": service.name, "mib": mib})
    return lines


def costs(part: str, say: Callable[[str], None], *words: str) -> list[dict[str, Any]]:
    """Return where the processor time goes, measured in one process by the part's own script."""
    say("where the time goes, part by part")
    script = ROOT / part / "tests" / "cost_by_part.py"
    lines = output_of([str(script), *words], "costs", code=(ROOT / part,))
    return [{"what": "cost", **line} for line in lines]


def output_of(words: Sequence[str], name: str, *, code: Sequence[Any] = (), core: str = "") -> list[dict[str, Any]]:
    """Run a Python program to its end and return the JSON lines that it printed. Raises LabError."""
    log = STATE_DIR / "bench" / f"{name}.jsonl"
    log.parent.mkdir(parents=True, exist_ok=True)
    log.write_text("")
    record = start(words, log.name, {"PIN_CPU": core}, code=code)
    process = record.process()
    try:
        if process is not None:
            process.wait(timeout=120)
        return [json.loads(line) for line in log.read_text().splitlines()]
    except (ValueError, psutil.TimeoutExpired):
        raise LabError(f"{words[-1]} failed", f"see {relative(log)}") from None
    finally:
        record.stop()


def start(words: Sequence[str], log: str, env: Mapping[str, str], *, code: Sequence[Any] = ()) -> processes.Record:
    """Start a Python program that finds `campus`, `lab` and the folders of `code`; its output goes to `.lab/bench`."""
    path = os.pathsep.join(str(folder) for folder in (ROOT / "common", ROOT / "experiments", *code))
    env = os.environ | {"PYTHONPATH": path, **env}
    return processes.start([sys.executable, *words], folder=ROOT, env=env, log=STATE_DIR / "bench" / log)


def wait_for(port: int) -> None:
    """Wait until a server answers orders. Raises LabError."""
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError, ConnectionError):
            raw_client.drive(port, 1, 0.01)
            return
        time.sleep(0.1)
    raise LabError(f"the benchmark's server on port {port} did not start", "see the logs in .lab/bench")
