"""The table of lags: the one that Kafka's own `kafka-consumer-groups --describe` prints, with two columns more.

LAG-SECONDS is the age of the oldest record that the group has not read. STATE says where it is going, from two looks:

    OK      nothing is left to read, or it becomes less, or it is no more than comes or is read in a second
    WARN    more and more is left to read, while the group reads
    STALL   something is left to read, and the group has not moved, or has no member
    OPEN n  nothing is left to read, as n offsets more are in a transaction that stays open
    LOST n  retention deleted n offsets before the group read them
"""

import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from lab.brokers.lag import Groups, Place
from lab.errors import LabError

BETWEEN_SECONDS, WATCH_SECONDS = 1.0, 2.0
TABLE = ("group", "topic", "partition", "current-offset", "log-end-offset", "lag", "consumer-id", "host", "client-id",
         "lag-seconds", "state")  # fmt: skip
NOTED_AS = {"current-offset": "current", "log-end-offset": "end", "lag-seconds": "lag_seconds", "client-id": "client",
            "consumer-id": "consumer"}  # fmt: skip
Row = dict[str, Any]


@dataclass(frozen=True)
class Look:
    """All places of the groups at one moment, by group, topic and partition."""

    at: float
    places: Mapping[tuple[str, str, int], Place]


def tables(groups: Groups, group: str | None, *, watch: bool) -> Iterator[list[Row]]:
    """Yield the table a second after the first look, and with `watch` again and again. Raises LabError."""
    before = _look(groups, group)
    time.sleep(BETWEEN_SECONDS)
    while True:
        now = _look(groups, group)
        yield rows(before, now)
        if not watch:
            return
        before = now
        time.sleep(WATCH_SECONDS)


def _look(groups: Groups, group: str | None) -> Look:
    names = groups.names()
    if group is not None and group not in names:
        raise LabError(f"there is no group {group}", f"the groups are: {', '.join(names) or 'none yet'}")
    places = groups.places(names if group is None else [group])
    return Look(time.time(), {place.key: place for place in places})


def rows(before: Look, now: Look) -> list[Row]:
    """Return the table's rows: what each group does between two looks, for each partition."""
    return [_row(place, now.at, state(before, now, key)) for key, place in now.places.items()]


def state(before: Look, now: Look, key: tuple[str, str, int]) -> str:
    """Return `OK`, `WARN`, `STALL`, `OPEN n` or `LOST n` for one partition of a group."""
    place, was = now.places[key], before.places.get(key)
    if place.gone:
        return f"LOST {place.gone}"
    if place.lag == 0:
        stays_open = place.open and was is not None and was.open and was.end == place.end
        return f"OPEN {place.open}" if stays_open else "OK"
    if place.member is None:
        return "STALL"
    if was is None or was.lag == 0:
        return "OK" if _seconds(place, now.at) <= BETWEEN_SECONDS else "WARN"
    if place.start == was.start:
        return "STALL"
    a_second = (place.start - was.start) / (now.at - before.at)
    return "OK" if place.lag < was.lag or place.lag <= a_second else "WARN"


def _seconds(place: Place, now: float) -> float:
    """Return how long the oldest record that was not read has been there; infinitely long if that is not known."""
    return max(0.0, now - place.oldest) if place.oldest is not None else float("inf")


def _row(place: Place, now: float, how: str) -> Row:
    member = place.member or {}
    seconds = "-" if place.lag and place.oldest is None else round(_seconds(place, now), 1) if place.lag else 0.0
    named = (member.get("member_id", "-"), member.get("client_host", "-"), member.get("client_id", "-"))
    current = "-" if place.current is None else place.current
    values = (place.group, place.topic, place.partition, current, place.end, place.lag, *named, seconds, how)
    return dict(zip(TABLE, values, strict=True))


def noted(row: Row) -> Row:
    """Return a row as the history of a run keeps it."""
    known = {name: None if value == "-" else value for name, value in row.items()}
    return {NOTED_AS.get(name, name): value for name, value in known.items()}
