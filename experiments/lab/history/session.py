"""What an experiment script does around its load: begin, predict, wait, settle, collect, judge, publish."""

import gzip
import shutil
import time
from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from lab import client
from lab.brokers import base, dead_letters
from lab.compose import ONE, Size
from lab.errors import LabError
from lab.history import model as history
from lab.history import sampler, snapshot, traffic
from lab.history.environment import environment
from lab.history.header import read_header
from lab.history.recorder import RunRecorder
from lab.paths import RESULTS, STATE_DIR
from lab.runtime import lifecycle, processes
from lab.services import Service, by_kind, services_of
from lab.trace import collect as trace

RUNS = STATE_DIR / "runs"
RUNNING = STATE_DIR / "run" / "experiment.json"
QUIET_SECONDS = 0.3
MAX_OF_A_LOG = 8 * 2**20  # bytes of each that are kept of a run that did not pass
OPEN_STATES = ("placed", "unknown", "reserved")


def begin(
    script: Path,
    part: str,
    *,
    quick: bool,
    keep_brokers: bool,
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
    for name in lifecycle.parts_up(chosen):
        if name == part and keep_brokers:
            continue
        say(f"stopping {name}, which was up")
        lifecycle.down(chosen, name)
    head: dict[str, Any] = {
        "experiment": script.stem,
        "part": part,
        "title": title,
        "about": about,
        "quick": quick,
        **(more or {}),
    }
    folder = RUNS / head.get("place", script.stem).replace("/", "-")
    shutil.rmtree(folder, ignore_errors=True)
    lifecycle.up(chosen, part, size=size, fresh=True, keep_brokers=keep_brokers, say=say)
    head["environment"] = environment(chosen, services_of(part))
    recorder = RunRecorder.begin(folder, head)
    sampler.start(recorder, owner)
    return recorder


def settle(recorder: RunRecorder, seconds: float) -> bool:
    """Wait until every order is in a final state and no message waits; note how long it took, and whether it did."""
    began = recorder.now()
    services = by_kind(services_of(recorder.head["part"]))
    url = services["order"].url
    done = False
    while not done and recorder.now() - began < seconds:
        done = all(_none_in(url, status) for status in OPEN_STATES) and _quiet(services)
        if not done:
            time.sleep(0.2)
    recorder.record(type="settled", done=done, took=round(recorder.now() - began, 3))
    return done


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
    """Write the raw files of the run: its history, and what each service holds now."""
    for service in services_of(recorder.head["part"]).values():
        traffic.note_received(recorder, service)
    sampler.stop()
    head = {name: value for name, value in recorder.head.items() if name != "began_monotonic"}
    history.write_lines(recorder.folder / history.HISTORY, [head, *recorder.lines()])
    # What belongs to one order stands together: it packs a third smaller, as much of it is said twice.
    held = sorted(state(recorder.head), key=lambda line: line.get("order_id", ""))
    history.write_lines(recorder.folder / history.STATE, held)
    _keep_trace(recorder)
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
    """Keep the end of what the services and the broker of a run said, until its script runs again; return where.

    The next `up` begins anew.
    """
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


def _keep_trace(recorder: RunRecorder) -> None:
    """Keep the messages of some orders, where the services recorded any."""
    services, chosen = services_of(recorder.head["part"]), lifecycle.choose()
    lines = trace.collect(
        services, lambda service: chosen.logs(service, trace.ALL_LINES), recorder.head["began_monotonic"]
    )
    placed: dict[str, list[str]] = defaultdict(list)
    for e in recorder.lines():
        if e["type"] in ("ok", "info") and e.get("order_id"):
            placed[e["op"].rsplit("-", 1)[0]].append(e["order_id"])
    if kept := trace.fit(lines, placed):
        history.write_lines(recorder.folder / history.TRACE, kept)


def _none_in(url: str, status: str) -> bool:
    answer = client.try_get(f"{url}/orders?status={status}&limit=1", timeout=5.0)
    return answer is not None and answer.status_code == 200 and not answer.json()["orders"]


def _quiet(services: dict[str, Service]) -> bool:
    """Return whether nothing waits in the queues, and consumers have been idle long enough to hold nothing either."""
    broker = base.broker_of(services)
    if broker is None:
        return True
    first = _traffic(services, broker)
    time.sleep(QUIET_SECONDS)
    return first is not None and first == _traffic(services, broker)


def _traffic(services: dict[str, Service], broker: Service) -> dict[str, int] | None:
    """Return how many messages each consumer has done; None while a message waits, or when it is not known."""
    try:
        waiting = base.waiting(broker)
    except LabError:
        return None
    if waiting or client.metric(services["order"].url, "outbox_depth") != 0:
        return None
    return snapshot.handled(services)


def state(head: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what each service and the broker hold now; of one that does not answer, that it is missing."""
    lines: list[dict[str, Any]] = []
    services = by_kind(services_of(head["part"]))
    for name, service in services.items():
        try:
            if service == base.broker_of(services):
                lines += dead_letters.as_state(service)
            elif not service.is_broker:
                lines += _held(service, rows="portions" not in head)
        except (LabError, ValueError, KeyError) as error:
            lines.append({"what": "missing", "service": name, "why": str(error)})
    return lines


def _held(service: Service, *, rows: bool) -> list[dict[str, Any]]:
    """Return what a service holds; its `rows` may be in portions already."""
    if service.kind == "analytics":
        return [{"what": "report", **client.call("GET", f"{service.url}/report").json()}]
    listed = snapshot.LISTS[service.kind]
    found = client.all_pages(f"{service.url}/{listed}", listed) if rows else []
    lines = [{"what": listed.removesuffix("s"), **row} for row in found]
    if service.kind == "inventory":
        levels = client.call("GET", f"{service.url}/stock").json()["stock"]
        lines += [{"what": "stock", "sku": sku, **level} for sku, level in levels.items()]
    return lines
