"""What an experiment script does around its load: begin, predict, wait, collect, judge, publish."""

import gzip
import shutil
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab import client
from lab.compose import ONE, Size
from lab.errors import LabError
from lab.history import held, sampler, traffic
from lab.history import model as history
from lab.history.environment import environment
from lab.history.header import read_header
from lab.history.recorder import RunRecorder
from lab.paths import RESULTS, STATE_DIR
from lab.runtime import lifecycle, processes
from lab.services import services_of
from lab.trace import collect as trace

RUNS = STATE_DIR / "runs"
RUNNING = STATE_DIR / "run" / "experiment.json"
MAX_OF_A_LOG = 8 * 2**20  # bytes of each that are kept of a run that did not pass


def begin(
    script: Path,
    part: str,
    *,
    quick: bool,
    owner: int,
    more: Mapping[str, Any] | None = None,
    size: Size = ONE,
    say: Callable[[str], None],
) -> RunRecorder:
    """Start the part with empty databases and open a run for this script. Raises LabError.

    `owner` is the process of the script: while it lives, no other experiment may begin. `more` of the run's head:
    `place`, its folder below `results/`, and `again`, the command that makes it again, if they are not the usual ones;
    `traffic`, if messages and connections are to be counted; `portions`, if it has too many orders for one file;
    `broken`, the name of a broken version, if any.
    """
    other = processes.load(RUNNING)
    if other is not None and other.pid != owner and other.process() is not None:
        raise LabError(f"another experiment is running (process {other.pid})", "wait for it, or stop it with Ctrl-C")
    processes.save(processes.record_of(owner), RUNNING)
    title, about = read_header(script.read_text(), script.name)
    if more and "place" in more:  # one of many runs of the same script
        title = f"{title} ({part})"
    chosen = lifecycle.choose()
    keep_brokers = lifecycle.brokers_stay()
    for name in lifecycle.parts_up(chosen):
        if name == part and keep_brokers:
            continue
        say(f"stopping {name}, which was up")
        lifecycle.down(chosen, name)
    head: dict[str, Any] = {"experiment": script.stem, "part": part, "title": title, "about": about, "quick": quick}
    head |= more or {}
    folder = RUNS / head.get("place", script.stem).replace("/", "-")
    shutil.rmtree(folder, ignore_errors=True)
    lifecycle.up(chosen, part, size=size, fresh=True, keep_brokers=keep_brokers, say=say)
    head["environment"] = environment(chosen, services_of(part))
    recorder = RunRecorder.begin(folder, head)
    sampler.start(recorder, owner)
    return recorder


def unready(part: str) -> list[str]:
    """Return a sentence for each service of a part that is not ready."""
    chosen, said = lifecycle.choose(), []
    for service in services_of(part).values():
        if (state := chosen.state(service)) != "running":
            said.append(f"{service.name} is {state}")
        elif not lifecycle.is_ready(service, timeout=2.0):
            said.append(f"{service.name} is not ready ({lifecycle.what_is_missing(service) or 'no answer'})")
    return said


def collect(recorder: RunRecorder) -> None:
    """Write the raw files of the run: its history, what each service holds now, and the messages of some orders."""
    for service in services_of(recorder.head["part"]).values():
        traffic.note_received(recorder, service)
    sampler.stop()
    head = {name: value for name, value in recorder.head.items() if name != "began_monotonic"}
    history.write_lines(recorder.folder / history.HISTORY, [head, *recorder.lines()])
    # What belongs to one order stands together: it packs a third smaller, as much of it is said twice.
    lines = sorted(held.state(recorder.head), key=lambda line: line.get("order_id", ""))
    history.write_lines(recorder.folder / history.STATE, lines)
    services, chosen, began = services_of(recorder.head["part"]), lifecycle.choose(), recorder.head["began_monotonic"]
    messages = trace.collect(services, lambda service: chosen.logs(service, trace.ALL_LINES), began)
    placed: dict[str, list[str]] = defaultdict(list)
    for e in recorder.lines():
        if e["type"] in ("ok", "info") and e.get("order_id"):
            placed[e["op"].rsplit("-", 1)[0]].append(e["order_id"])
    if kept := trace.fit(messages, placed):
        history.write_lines(recorder.folder / history.TRACE, kept)
    client.hang_up()


def publish(recorder: RunRecorder) -> Path:
    """Move the finished run to its place: `results/` for a full run, `.lab/quick/` for a quick one."""
    home = STATE_DIR / "quick" if recorder.head["quick"] else RESULTS
    place = home / recorder.head.get("place", f"{recorder.head['part']}/{recorder.head['experiment']}")
    place.parent.mkdir(parents=True, exist_ok=True)
    fresh = place.with_name(f".{place.name}.new")
    shutil.rmtree(fresh, ignore_errors=True)
    fresh.mkdir()
    for file in recorder.folder.iterdir():
        if file.name != "run.json" and file.suffix != ".jsonl":
            file.rename(fresh / file.name)  # not a copy: run.log is still being written
    shutil.rmtree(place, ignore_errors=True)
    fresh.rename(place)
    return place


def keep_logs(recorder: RunRecorder) -> Path | None:
    """Keep the end of what the services and the broker of a run said, until its script runs again; return where."""
    logs = sorted((STATE_DIR / "logs" / recorder.head["part"]).glob("*.log*"))
    if not logs:
        return None
    kept = recorder.folder / "logs"
    kept.mkdir(exist_ok=True)
    for log in logs:
        with log.open("rb") as file, gzip.open(kept / f"{log.name}.gz", "wb") as out:
            file.seek(max(0, log.stat().st_size - MAX_OF_A_LOG))
            out.write(file.read())
    return kept
