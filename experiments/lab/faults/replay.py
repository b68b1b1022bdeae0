"""`./lab replay`: lets a group of Kafka's read again from an earlier offset, and shows what comes of it."""

import contextlib
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import click

from lab import client
from lab.analysis import reports
from lab.brokers import kafka_client
from lab.brokers.lag import Groups
from lab.brokers.lag_table import PART, broker
from lab.errors import LabError
from lab.history.recorder import Journal
from lab.runtime import lifecycle
from lab.services import Service, services_of

# A member that was killed is one until its session ends, which takes 10 s.
EMPTY_SECONDS = 13.0
CAUGHT_UP_SECONDS = 120.0
ANALYTICS = "analytics"


@click.command()
@click.argument("group")
@click.option("--to", default="earliest", show_default=True, metavar="WHERE",
              help="earliest, latest, a time (2026-01-31T12:00:00Z), or an offset.")  # fmt: skip
def replay(group: str, to: str) -> None:
    """Let GROUP read its topics again (Kafka): stop its service, reset its offsets, start it, wait until it is done.

    For analytics-consumer-group, the report is shown before and after.
    """
    if group not in kafka_client.GROUPS:
        raise LabError(f"there is no group {group}", f"the groups are: {', '.join(kafka_client.GROUPS)}")
    target(to)  # what is wrong with it is said before anything is done
    service = _service(kafka_client.GROUPS[group])
    shows_report = service.name == ANALYTICS
    before = noted_report("before replay", service) if shows_report else {}
    with contextlib.closing(Groups(broker())) as groups:
        partitions, took = run(groups, group, service, to, say=lambda text: click.echo(f"— {text}"))
    if shows_report:
        click.echo("\n".join(compared(before, noted_report("after replay", service))))
    if journal := Journal.current():
        journal.note(type="replay", group=group, to=to, partitions=partitions, took=took)


@click.command(hidden=True)
@click.argument("name")
def note_report(name: str) -> None:
    """Note under NAME what analytics reports now."""
    Journal.required()
    noted_report(name, _service(ANALYTICS))


def run(groups: Groups, group: str, service: Service, to: str, *, say: Callable[[str], None]) -> tuple[int, float]:
    """Replay a group, and return how many partitions it has and the seconds from its start until it had caught up.

    Raises LabError when the group has another member, with nothing changed, or when Kafka refuses.
    """
    chosen = lifecycle.choose()
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
    _wait_until_caught_up(groups, group)
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
    if journal := Journal.current():
        journal.note(type="report", name=name, report=report)
    return report


def compared(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return two reports side by side, and whether they are the same, in lines."""
    names = [*(reports.flat(before) | reports.flat(after)), *reports.UNCOUNTED]
    one, other = (before | reports.flat(before), after | reports.flat(after))
    cells = [("", "before", "after"), *((name, str(one.get(name)), str(other.get(name))) for name in names)]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    lines = ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]
    differ = [name for name in names if one.get(name) != other.get(name) and name != "generatedAtUnix"]
    return [*lines, f"different: {', '.join(differ)}" if differ else "the same, by digest and in every number"]


def _service(name: str) -> Service:
    services = services_of(PART)
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


def _wait_until_caught_up(groups: Groups, group: str) -> None:
    """Wait until the group has read all that is there now. Raises LabError."""
    goal = {place.key: place.end for place in groups.places([group])}
    deadline = time.monotonic() + CAUGHT_UP_SECONDS
    while any(p.lag and p.start < goal.get(p.key, 0) for p in groups.places([group])):
        if time.monotonic() > deadline:
            raise LabError(f"{group} has not caught up after {CAUGHT_UP_SECONDS:.0f} s", f"./lab lag {group}")
        time.sleep(0.1)
