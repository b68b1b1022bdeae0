"""The raw lines of a run that is too large for one file: kept under `.lab/raw`, in portions of orders.

All lines of one client's order are in one portion: what the client saw, the order, its reservation, its notification.
So each portion is a small run of its own, and no program needs to hold more than one of them in memory.
"""

import gzip
import hashlib
import json
import shutil
import zlib
from collections.abc import Iterable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

from lab import client
from lab.history.held import LISTS
from lab.history.model import Run
from lab.history.recorder import RunRecorder
from lab.paths import STATE_DIR
from lab.services import Service

PORTIONS = 64
Line = dict[str, Any]


def folder(head: Line) -> Path:
    """Return where the portions of a run lie."""
    return STATE_DIR / "raw" / head.get("place", head["experiment"])


def begin(head: Line) -> None:
    """Delete the portions of the last run of this kind."""
    shutil.rmtree(folder(head), ignore_errors=True)
    folder(head).mkdir(parents=True)


def add_load(head: Line, lines: Iterable[Line]) -> None:
    """Add what the clients of a load saw."""
    _append(head, ((_of(line["op"]), line) for line in lines))


def add_state(recorder: RunRecorder, services: dict[str, Service]) -> None:
    """Add what the services hold: each row beside its order. Raises LabError."""
    portion_of: dict[str, int] = {}

    def rows() -> Iterator[tuple[int, Line]]:
        for name, listed in LISTS.items():
            for row in client.each_row(f"{services[name].url}/{listed}", listed):
                order_id = row["order_id"]
                if name == "order":
                    portion_of[order_id] = _of(row["user_id"])
                yield portion_of.get(order_id, 0), {"what": listed.removesuffix("s"), **row}

    _append(recorder.head, rows())
    files = [*_files(recorder.head)]
    digest = hashlib.sha256()
    for file in files:
        digest.update(file.read_bytes())
    size = round(sum(file.stat().st_size for file in files) / 1e6, 1)
    recorder.record(type="raw", files=len(files), megabytes=size, sha256=digest.hexdigest())


def read(head: Line) -> Iterator[Run]:
    """Yield each portion as a run of its own."""
    for file in _files(head):
        events, state = [], []
        with gzip.open(file, "rt") as lines:
            for line in map(json.loads, lines):
                (state if "what" in line else events).append(line)
        yield Run(head, events, state)


def _files(head: Line) -> Iterator[Path]:
    return (file for file in sorted(folder(head).glob("portion-*.jsonl.gz")))


def _append(head: Line, lines: Iterable[tuple[int, Line]]) -> None:
    with ExitStack() as stack:
        names = [folder(head) / f"portion-{n:02d}.jsonl.gz" for n in range(PORTIONS)]
        files = [stack.enter_context(gzip.open(name, "at", compresslevel=1)) for name in names]
        for portion, line in lines:
            files[portion].write(json.dumps(line, separators=(",", ":")) + "\n")


def _of(user_id: str) -> int:
    return zlib.crc32(user_id.encode()) % PORTIONS
