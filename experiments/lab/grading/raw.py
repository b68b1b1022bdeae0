"""The raw files of a run or of a benchmark, read with limits: what is too large, too deep or no number is refused."""

import json
import re
import zlib
from datetime import datetime, timedelta
from typing import Any

from lab.history.model import HISTORY, SAMPLES, STATE, TRACE, Run

MAX_UNPACKED = 48 * 2**20
MAX_LINES = 300_000
MAX_SECONDS = 4 * 3600.0  # of a run
MAX_ORDERS, MAX_CLIENTS = 300_000, 1000
AROUND = timedelta(days=2)
LARGE = re.compile(rb"[:\[,] ?-?(?:\d{11,}|[\d.]+[eE]\+?\d)")  # ten digits are seconds since 1970
DATE = re.compile(rb'"(\d{4}-\d\d-\d\d)T')
TIMES = ("at", "intended", "until", "seconds", "began", "ended", "took")
Line = dict[str, Any]


class Refused(Exception):
    """Raw files that are not read; says why."""


def read(files: dict[str, bytes], *, benchmark: bool) -> Run:
    """Return the run that raw files hold; the samples of a benchmark stand where a run has its events.

    Raises Refused.
    """
    if benchmark:
        head, *samples = lines(SAMPLES, unpacked(SAMPLES, files[SAMPLES]))
        return Run(head, samples)
    texts = {name: unpacked(name, files[name]) for name in (HISTORY, STATE, TRACE) if name in files}
    head, *events = lines(HISTORY, texts[HISTORY])
    trace = lines(TRACE, texts[TRACE]) if texts.get(TRACE) else []
    run = Run(head, events, lines(STATE, texts[STATE]), trace)
    for event in events:
        _check(event)
    _check_dates(run, {day for text in texts.values() for day in DATE.findall(text)})
    return run


def lines(name: str, text: bytes) -> list[Line]:
    """Return the objects in a text of JSON lines. Raises Refused."""
    if found := LARGE.search(text):
        raise Refused(f"{name} holds a number that is too large: {found[0].decode()}")
    split = text.splitlines()
    if not 0 < len(split) <= MAX_LINES:
        raise Refused(f"{name} has {len(split):,} lines")
    try:
        found = [DECODER.decode(line.decode()) for line in split]
    except (ValueError, RecursionError) as error:
        raise Refused(f"{name} has a line that is no JSON: {type(error).__name__} {error}") from None
    if not all(type(line) is dict for line in found):
        raise Refused(f"{name} has a line that is no object")
    return found


def unpacked(name: str, packed: bytes) -> bytes:
    """Return what a compressed file holds. Raises Refused."""
    unpacking = zlib.decompressobj(31)
    try:
        text = unpacking.decompress(packed, MAX_UNPACKED)
    except zlib.error as error:
        raise Refused(f"{name} cannot be unpacked: {error}") from None
    if unpacking.unconsumed_tail:
        raise Refused(f"{name} holds more than {MAX_UNPACKED >> 20} MiB")
    if not unpacking.eof or unpacking.unused_data:
        raise Refused(f"{name} is cut off" if not unpacking.eof else f"{name} goes on after its end")
    return text


def _constant(word: str) -> Any:
    raise ValueError(f"{word} is no number")


DECODER = json.JSONDecoder(parse_constant=_constant)


def _check(event: Line) -> None:
    """Raise Refused for an event without a type or a time, or with one that no run has."""
    if type(event.get("type")) is not str or type(event.get("at")) not in (int, float):
        raise Refused(f"{HISTORY} has a line without a type or a time")
    for name in TIMES:
        value = event.get(name, 0)
        if value is not None and (type(value) not in (int, float) or not -1 <= value <= MAX_SECONDS):
            raise Refused(f"{HISTORY} has {event['type']} with {name} {value}, which no run lasts")
    if event["type"] == "phase":
        params = event["params"]
        counts = (params.get("count") or 0, (params.get("rate") or 0) * (params.get("seconds") or 0))
        if max(counts) > MAX_ORDERS or (params.get("clients") or 0) > MAX_CLIENTS:
            raise Refused(f"{HISTORY} has a load of more than {MAX_ORDERS:,} orders, or {MAX_CLIENTS:,} clients")


def _check_dates(run: Run, days: set[bytes]) -> None:
    """Raise Refused for a date that is days away from the run's."""
    try:
        began = datetime.fromisoformat(run.head["began_at"])
        far = [day for day in days if abs(datetime.fromisoformat(day.decode()) - began.replace(tzinfo=None)) > AROUND]
    except (KeyError, TypeError, ValueError) as error:
        raise Refused(f"the dates cannot be read: {error}") from None
    if far:
        raise Refused(f"the run began on {began:%Y-%m-%d}, and its files name {far[0].decode()}")
