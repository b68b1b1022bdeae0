"""The raw files of a finished run, and what they say: operations, phases, fault windows, final state.

`history.jsonl.gz` holds one JSON object a line. The first is the run's head. Then, in order of time (`at`, seconds
since the run began):

    {"type": "invoke", "op": "slow-000007", "phase": "slow", "intended": …, "items": […]}   a client sends an order
    {"type": "ok" | "fail" | "info", "op": …, "kind": "201", "order_id": …}   done | definitely not | unknown
    {"type": "dropped", "op": …, "phase": …, "intended": …}     never sent: too many were waiting already
    {"type": "phase", "phase": …, "params": {…}, "until": …}    a load and its parameters
    {"type": "machine", "phase": …, "busy": 1.3, "others": 0.1, "busiest": {…}}   cores in use during a load
    {"type": "fault", "verb": "configure", "service": …, "value": {…}}   what was done to a service
    {"type": "fault", "verb": "take" | "give back", "service": …, "value": "its database"}
    {"type": "predictions", "text": …}                          what the script expected: a file of Python
    {"type": "due", "phase": …, "seconds": 5.0}                 what comes next was to be done so long into that load
    {"type": "settled", "done": true, "took": …}                all orders were final
    {"type": "depth", "queue": …, "ready": 7}                   messages that no consumer held, or rows of the outbox
    {"type": "published", "name": …, "queue": …, "kind": …, "message_id": …}   what the script published itself
    {"type": "lag", "group": …, "topic": …, "partition": 0, "current": …, "end": …, "lag": 7}   records not read yet
    {"type": "lag table", "name": …, "rows": […]}, {"type": "replay", "group": …, "to": …}   what the script asked for
    {"type": "report", "name": …, "report": {…}}                what analytics, or another program, counted
    {"type": "schedule", "seed": 7, "minutes": 0.8, "faults": […], "kinds": […]}   what a seed drew, and of what kinds
    {"type": "carried out", "fault": 0, "began": …, "ended": …, "done": true, "said": …}   what came of each
    {"type": "messages", "service": …, "received": {…}}         how many a process had received when it was ended
    {"type": "connection", "service": …, "to": …}               one that was seen for the first time
    {"type": "snapshot", "name": …, "rows": […], "handled": {…}}   what the services held at that moment

`op` is the `user_id` of its order: that is how an order is found whose reply was lost.
`state.jsonl.gz` holds what the services held at the end: `{"what": "order" | "reservation" | "notification" |
"stock" | "dead" | "report" | "log" | "missing", …}`; `dead` is a message in a dead-letter queue, and `log` a topic of
results: `{"topic": …, "records": 40, "repeated": {order_id: [the places of its records, if they are several]}}`.
"""

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property
from pathlib import Path
from typing import Any

from lab.errors import LabError

HISTORY, STATE = "history.jsonl.gz", "state.jsonl.gz"
TRACE = "trace.jsonl.gz"  # the messages of some orders (`lab.trace.collect`); older runs have none
SAMPLES = "samples.jsonl.gz"  # of a benchmark


@dataclass(slots=True)
class Operation:
    """One order as its client saw it. `result` is `ok`, `fail` or `info`; None when the run ended before it."""

    op: str
    phase: str
    intended: float
    sent: float
    items: list[dict[str, Any]]
    result: str | None = None
    ended: float | None = None
    kind: str = "none"
    order_id: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """A time in which a service was disturbed; `until` is None when it was not mended."""

    service: str
    what: str
    since: float
    until: float | None


@dataclass
class Run:
    """Everything the raw files of one run say."""

    head: dict[str, Any]
    events: list[dict[str, Any]]
    state: list[dict[str, Any]] = field(default_factory=list)
    trace: list[dict[str, Any]] = field(default_factory=list)

    @cached_property
    def operations(self) -> list[Operation]:
        """Every order that was sent, in order of sending."""
        found: dict[str, Operation] = {}
        for e in self.events:
            if e["type"] == "invoke":
                found[e["op"]] = Operation(e["op"], e["phase"], e["intended"], e["at"], e["items"])
            elif e["type"] in ("ok", "fail", "info"):
                op = found[e["op"]]
                op.result, op.ended, op.kind, op.order_id = e["type"], e["at"], e["kind"], e.get("order_id")
        return list(found.values())

    @property
    def phases(self) -> list[dict[str, Any]]:
        """The loads, in order of time."""
        return self.of_type("phase")

    @cached_property
    def asynchronous(self) -> bool:
        """Whether orders were accepted (202) and done later, so that a reply says nothing of when."""
        return any(op.kind == "202" for op in self.operations)

    @cached_property
    def windows(self) -> list[Window]:
        """The times in which a service was disturbed, in order of time."""
        return _windows(self.of_type("fault"))

    @cached_property
    def orders(self) -> dict[str, dict[str, Any]]:
        """The orders that the order service held at the end, by their ids."""
        return {order["order_id"]: order for order in self.held("order")}

    @property
    def schedule(self) -> dict[str, Any] | None:
        """The faults that a seed drew: `{"seed": 7, "minutes": 0.8, "faults": […]}`; None where there were none."""
        return next(iter(self.of_type("schedule")), None)

    def carried_out(self) -> list[str]:
        """Return the kind of each drawn fault that was really done."""
        faults = (self.schedule or {"faults": []})["faults"]
        return [faults[e["fault"]]["kind"] for e in self.of_type("carried out") if e["done"]]

    def of_type(self, kind: str) -> list[dict[str, Any]]:
        """Return the events of one type."""
        return [e for e in self.events if e["type"] == kind]

    def held(self, what: str) -> list[dict[str, Any]]:
        """Return what the services held at the end, of one kind."""
        return [line for line in self.state if line["what"] == what]


def read(folder: Path) -> Run:
    """Read a finished run. Raises LabError when its raw files are not there."""
    try:
        head, *events = _read_lines(folder / HISTORY)
        trace = _read_lines(folder / TRACE) if (folder / TRACE).exists() else []
        return Run(head, events, _read_lines(folder / STATE), trace)
    except (OSError, ValueError) as error:
        raise LabError(f"{folder} has no readable run: {error}", "give a folder under results/") from None


def seconds_at(run: Run, utc: str) -> float:
    """Return a service's UTC time as seconds since the run began."""
    return (datetime.fromisoformat(utc) - datetime.fromisoformat(run.head["began_at"])).total_seconds()


def write_lines(path: Path, lines: Iterable[dict[str, Any]]) -> None:
    """Write JSON lines, compressed; the same lines give the same bytes."""
    text = "".join(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)
    path.write_bytes(gzip.compress(text.encode(), mtime=0))


def _read_lines(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in gzip.decompress(path.read_bytes()).decode().splitlines()]


def _windows(faults: list[dict[str, Any]]) -> list[Window]:
    """Pair what was done to a service with what mended it."""
    found: list[Window] = []
    since: dict[tuple[str, str], tuple[str, float]] = {}
    settings: dict[str, dict[str, Any]] = {}

    def close(service: str, channel: str, at: float | None) -> None:
        if (service, channel) in since:
            what, began = since.pop((service, channel))
            found.append(Window(service, what, began, at))

    for e in faults:
        service, verb, at = e["service"], e["verb"], e["at"]
        if verb in ("kill", "stop", "pause"):
            close(service, "process", at)  # a frozen service may be killed
            since[service, "process"] = ({"kill": "killed", "stop": "stopped", "pause": "frozen"}[verb], at)
        if verb in ("start", "unpause"):
            close(service, "process", at)
        if verb in ("kill", "stop", "take", "give back"):
            close(service, "without", at)
        if verb == "take":
            since[service, "without"] = (f"without {e['value']}", at)
        if verb in ("kill", "stop", "configure", "reset"):  # faults do not outlive the process
            stood = settings.get(service, {})
            settings[service] = _merged(stood, e["value"]) if verb == "configure" else {}
            what = " ".join(f"{k}={v}" for k, v in settings[service].items())
            if what != since.get((service, "configured"), ("",))[0]:
                close(service, "configured", at)
                if what:
                    since[service, "configured"] = (what, at)
    for service, channel in list(since):
        close(service, channel, None)
    return sorted(found, key=lambda w: w.since)


def _merged(stood: dict[str, Any], value: dict[str, Any]) -> dict[str, Any]:
    """Return the faults that stand after a service was told these, as it merges them; after a crash none was left."""
    stood = {} if "crash_point" in stood else stood
    return {key: told for key, told in (stood | value).items() if told}
