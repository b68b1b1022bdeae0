"""Lets a group of Kafka's read again from an earlier offset."""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from lab import client
from lab.brokers.lag import Groups
from lab.errors import LabError
from lab.history.recorder import RunRecorder
from lab.runtime import lifecycle
from lab.services import Service, by_kind, services_of

PART = "streaming-kafka"
# A member that was killed is one until its session ends, which takes 10 s.
EMPTY_SECONDS = 13.0
CAUGHT_UP_SECONDS = 120.0


def run(groups: Groups, group: str, service: Service, to: str, *, say: Callable[[str], None]) -> tuple[int, float]:
    """Replay a group; return how many partitions it has, and the seconds until it had caught up. Raises LabError."""
    chosen = lifecycle.choose()
    if service.other_ports:
        one = f"./lab up {PART} --replicas {service.kind}=1"
        raise LabError(f"{group} has {len(service.urls)} members, and a replay is of one", one)
    running = chosen.state(service) == "running"
    partitions = [place.left_off[0] for place in groups.places([group])]
    if not partitions:
        raise LabError(f"the group {group} has read nothing yet", f"./lab start {PART}/{service.name}")
    _wait_for_members(groups, group, at_most=int(running))
    say(f"stopping {service.name}")
    chosen.stop(service)
    try:
        _wait_for_members(groups, group, at_most=0)
        say(f"{group} has no member any more; resetting {len(partitions)} partitions to {to}")
        offsets = groups.reset(group, dict.fromkeys(partitions, target(to)))
        say("offsets now: " + ", ".join(f"{p.topic}/{p.partition} {n}" for p, n in sorted(offsets.items())))
    finally:
        began = time.monotonic()
        say(f"starting {service.name}")
        chosen.start(service)
        lifecycle.wait_ready(chosen, service)
    goal = {place.key: place.end for place in groups.places([group])}
    deadline = time.monotonic() + CAUGHT_UP_SECONDS
    while any(p.lag and p.start < goal.get(p.key, 0) for p in groups.places([group])):
        if time.monotonic() > deadline:
            raise LabError(f"{group} has not caught up after {CAUGHT_UP_SECONDS:.0f} s", f"./lab lag {group}")
        time.sleep(0.1)
    took = round(time.monotonic() - began, 3)
    say(f"caught up after {took:.1f} s")
    return len(partitions), took


def target(to: str) -> Any:
    """Return where to reset to, as kafka-python names it. Raises LabError."""
    from kafka.admin import OffsetSpec, OffsetTimestamp

    if to in ("earliest", "latest"):
        return OffsetSpec[to.upper()]
    if to.isdecimal():
        return int(to)
    try:
        time_ = datetime.fromisoformat(to)
    except ValueError:
        hint = "earliest, latest, a time such as 2026-01-31T12:00:00Z, or an offset such as 0"
        raise LabError(f"{to} is not a position in a log", hint) from None
    time_ = time_ if time_.tzinfo else time_.replace(tzinfo=UTC)
    return OffsetTimestamp(int(1000 * time_.timestamp()))


def noted_report(name: str, service: Service) -> dict[str, Any]:
    """Return what the analytics service reports, and note it under this name in a run. Raises LabError."""
    report = client.call("GET", f"{service.url}/report").json()
    if recorder := RunRecorder.current():
        recorder.record(type="report", name=name, report=report)
    return report


def service_named(name: str) -> Service:
    """Return a service of Part C, with all its replicas. Raises LabError."""
    services = by_kind(services_of(PART))
    if name not in services:
        raise LabError(f"{PART} has no service {name}", f"it has: {', '.join(services)}")
    return services[name]


def _wait_for_members(groups: Groups, group: str, *, at_most: int) -> None:
    """Wait until the group has no more members than its service is. Raises LabError."""
    deadline = time.monotonic() + EMPTY_SECONDS
    while len(members := groups.members(group)) > at_most:
        if time.monotonic() > deadline:
            hint = "stop the other consumer first; nothing was changed"
            raise LabError(f"{group} has more members than its service: {', '.join(members)}", hint)
        time.sleep(0.1)
