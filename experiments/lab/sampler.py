"""Samples how many messages wait while an experiment runs: a process of its own, which outlives the broker.

It writes `{"type": "depth", "queue": …, "ready": …}` into the journal, and goes on by itself when the broker comes
back. `ready` leaves out what a consumer has been given and not yet acknowledged.
"""

import contextlib
import os
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from lab import compose, http, processes, rabbit
from lab.compose import Service
from lab.journal import Journal
from lab.places import HIDDEN, ROOT, LabError

EVERY_SECONDS = 0.2
OUTBOX = "outbox"
RECORD = HIDDEN / "run" / "sampler.json"


def start(journal: Journal, owner: int) -> None:
    """Start sampling if the part has queues; it ends with `stop`, or with the process `owner`."""
    part = journal.head["part"]
    if rabbit.NAME not in compose.services(part):
        return
    command = [sys.executable, "-m", "lab", "sample", "--owner", str(owner)]
    log = HIDDEN / "logs" / part / "sampler.log"
    with processes.uninterrupted():
        env = os.environ | {"LAB_RUN": str(journal.folder)}
        processes.save(processes.start(command, folder=ROOT, env=env, log=log), RECORD)


def stop(record_file: Path = RECORD) -> None:
    """End the sampler, if there is one."""
    record = processes.load(record_file)
    if record is not None:
        record.stop()
        record_file.unlink(missing_ok=True)


def run(journal: Journal, owner: int) -> None:
    """Sample until the process `owner` is gone."""
    script = processes.record_of(owner)
    services = compose.services(journal.head["part"])
    queues = Queues(services[rabbit.NAME])
    while script.process() is not None:
        began = time.monotonic()
        at = round(journal.now(), 3)
        depths = dict(queues.depths()) | dict(_outbox(services["order"].url))
        journal.append("depth", [{"at": at, "type": "depth", "queue": q, "ready": n} for q, n in depths.items()])
        time.sleep(max(0.0, began + EVERY_SECONDS - time.monotonic()))


class Queues:
    """The queues of one broker, over a connection that is made anew whenever it is lost."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._channel: Any = None

    def depths(self) -> list[tuple[str, int]]:
        """Return `(queue, messages ready)` of each queue; nothing while the broker cannot be asked."""
        try:
            with rabbit.in_plain_words(self._service):
                if self._channel is None:
                    self._channel = rabbit.connect(self._service).channel()
                return [(queue, rabbit.ready(self._channel, queue)) for queue in rabbit.ALL]
        except LabError:
            self._hang_up()
            return []

    def _hang_up(self) -> None:
        lost, self._channel = self._channel, None
        with contextlib.suppress(LabError), rabbit.in_plain_words(self._service):
            if lost is not None:
                lost.connection.close()


def _outbox(url: str) -> Iterator[tuple[str, int]]:
    depth = http.metric(url, "outbox_depth")
    if depth is not None:
        yield OUTBOX, int(depth)
