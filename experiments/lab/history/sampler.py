"""Samples how many messages wait while an experiment runs: a process of its own, which outlives the broker.

Of RabbitMQ it notes `{"type": "depth", "queue": …, "ready": …}`: `ready` leaves out what a consumer has been given and
not yet acknowledged. Of Kafka `{"type": "lag", "group": …, "topic": …, "partition": …, "lag": …, "current": …,
"end": …}`, when one of these has changed, and all every few seconds. Without the broker it notes nothing of it, and
goes on by itself when the broker comes back. Of a run that counts its traffic it notes new connections, too.
"""

import os
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from lab import client
from lab.brokers import base, kafka, kafka_client, rabbitmq
from lab.brokers.lag import Groups
from lab.brokers.rabbitmq import Queues
from lab.errors import LabError
from lab.history import traffic
from lab.history.recorder import RunRecorder
from lab.paths import ROOT, STATE_DIR
from lab.runtime import processes
from lab.services import Service, by_kind, services_of

EVERY_SECONDS = 0.2
ALL_SECONDS = 5.0
OUTBOX = "outbox"
RECORD = STATE_DIR / "run" / "sampler.json"

Line = dict[str, Any]


def start(recorder: RunRecorder, owner: int) -> None:
    """Start sampling if there is something to sample; it ends with `stop`, or with the process `owner`."""
    part = recorder.head["part"]
    if base.broker_of(services_of(part)) is None and not recorder.head.get("traffic"):
        return
    command = [sys.executable, "-m", "lab", "sample", "--owner", str(owner)]
    log = STATE_DIR / "logs" / part / "sampler.log"
    env = os.environ | {"LAB_RUN": str(recorder.folder)}
    processes.start_recorded(command, RECORD, folder=ROOT, env=env, log=log)


def stop(record_file: Path = RECORD) -> None:
    """End the sampler, if there is one."""
    record = processes.load(record_file)
    if record is not None:
        record.stop()
        record_file.unlink(missing_ok=True)


def run(recorder: RunRecorder, owner: int) -> None:
    """Sample until the process `owner` is gone."""
    script = processes.record_of(owner)
    services = by_kind(services_of(recorder.head["part"]))
    looks = [*_looks(recorder, services)]
    while script.process() is not None:
        began = time.monotonic()
        at = round(recorder.now(), 3)
        recorder.append("samples", [{"at": at} | line for look in looks for line in look()])
        time.sleep(max(0.0, began + EVERY_SECONDS - time.monotonic()))


def _looks(recorder: RunRecorder, services: dict[str, Service]) -> Iterator[Callable[[], Iterator[Line]]]:
    if recorder.head.get("traffic"):
        yield traffic.Connections(services).lines
    if rabbitmq.NAME in services:
        queues, order = Queues(services[rabbitmq.NAME]), services["order"].url

        def depths() -> Iterator[Line]:
            waiting = client.metric(order, "outbox_depth")
            outbox = [] if waiting is None else [(OUTBOX, int(waiting))]
            return ({"type": "depth", "queue": queue, "ready": ready} for queue, ready in [*queues.depths(), *outbox])

        yield depths
    if kafka.NAME in services:
        yield Lags(services[kafka.NAME]).lines


class Lags:
    """How far the groups are behind on one Kafka, over connections that are made anew whenever they are lost."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._groups: Groups | None = None
        self._noted: dict[Any, Line] = {}
        self._all_at = 0.0

    def lines(self) -> Iterator[Line]:
        """Yield what is to be noted now; nothing while Kafka cannot be asked."""
        if time.monotonic() >= self._all_at + ALL_SECONDS:
            self._noted, self._all_at = {}, time.monotonic()
        try:
            self._groups = self._groups or Groups(self._service)
            places = self._groups.places(kafka_client.GROUPS, only_at_rest=True)
        except LabError:
            self.close()
            return
        for place in places:
            line: Line = {"type": "lag", "group": place.group, "topic": place.topic, "partition": place.partition}
            line |= {"lag": place.lag, "current": place.current, "end": place.end}
            if self._noted.get(place.key) != line:
                self._noted[place.key] = line
                yield line

    def close(self) -> None:
        """Close the connections, and forget what was noted."""
        lost, self._groups, self._noted = self._groups, None, {}
        if lost is not None:
            lost.close()
