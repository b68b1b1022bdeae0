"""The baselines, as one table: what each part is measured beside, and how it is started."""

import contextlib
import json
import os
import re
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, NamedTuple

import psutil
from lab.errors import LabError
from lab.paths import ROOT, STATE_DIR, relative
from lab.runtime import processes
from lab.runtime.ports import free
from lab.services import services_of

from benchmarks import raw_client

BARE = ("gunicorn", "-c", "python:benchmarks.programs.bare")
OURS = ("gunicorn", "-c", "python:campus.gunicorn_conf")
FOLDER = STATE_DIR / "bench"
SECONDS = 120.0  # that a program may take


class Baseline(NamedTuple):
    """What a part is measured beside.

    A baseline with services is a server: each of them is a process, on a port of its own. One without is a program
    that gets this baseline's name and more words, runs to its end, and prints JSON lines.
    """

    shown: str
    module: tuple[str, ...]  # what Python runs; `{}` stands for the service
    services: tuple[str, ...] = ()
    pinned: bool = True  # to the same core as the part's own service


ALL, ONE = ("order", "inventory", "notification"), ("order",)
BASELINES = {
    "idle": Baseline("a server that does nothing", (*BARE, "benchmarks.programs.bare:inventory"), ONE),
    "bare": Baseline("bare baseline: WSGI functions", (*BARE, "benchmarks.programs.bare:{}"), ALL),
    "naive": Baseline("naive: a new requests connection for each call", ("benchmarks.programs.naive",), ALL),
    "unpinned": Baseline("this chain, not pinned to cores", (*OURS, "{}_service.app:create_app()"), ALL, False),
    "pool": Baseline("this chain, calls by urllib3's pool", (*OURS, "benchmarks.programs.pool:create_app()"), ONE),
    "alone": Baseline("the same app alone", (*BARE, "benchmarks.programs.app_alone:create_app()"), ONE),
    "republish": Baseline("bare baseline: republish, confirmed", ("benchmarks.programs.rabbitmq_drain",)),
    "ack": Baseline("bare baseline: acknowledge only", ("benchmarks.programs.rabbitmq_drain",)),
    "kafka-python": Baseline("bare baseline: kafka-python", ("benchmarks.programs.kafka_produce",)),
    "confluent-kafka": Baseline("bare baseline: confluent-kafka", ("benchmarks.programs.kafka_produce",)),
    "commit": Baseline("bare baseline: poll, produce, commit", ("benchmarks.programs.kafka_drain",)),
    "transaction": Baseline("bare baseline: in a Kafka transaction", ("benchmarks.programs.kafka_drain",)),
    "read": Baseline("bare baseline: poll, decode", ("benchmarks.programs.kafka_drain",)),
}


@contextlib.contextmanager
def running(name: str, part: str) -> Iterator[int]:
    """Start a baseline that is a server beside this part; yield the port of its order service. Raises LabError."""
    records, own = list[processes.Record](), dict[str, int]()
    for service in BASELINES[name].services:
        own[service] = free(own.values())
    try:
        for service in own:
            records.append(_start_service(name, part, service, own))
        _wait_for(own["order"])
        yield own["order"]
    finally:
        for record in records:
            record.stop()


def _start_service(name: str, part: str, service: str, ports: Mapping[str, int]) -> processes.Record:
    """Start one service of a baseline; whatever it does not run itself, it calls in the part."""
    baseline, ours = BASELINES[name], services_of(part)
    data = FOLDER / f"{name}-{service}.db"
    for file in FOLDER.glob(f"{data.name}*"):
        file.unlink()
    env = {
        "PORT": str(ports[service]),
        "THREADS": ours[service].environment["THREADS"],
        "PIN_CPU": ours[service].environment["PIN_CPU"] if baseline.pinned else "",
        "DATABASE_URL": f"sqlite:///{data}",
        **{f"{n.upper()}_URL": f"http://127.0.0.1:{ports.get(n, ours[n].port)}" for n in ALL},
    }
    module = [word.format(service) if "{}" in word else word for word in baseline.module]
    return _start(["-m", *module], f"{name}-{service}.log", env, part)


def output_of(name: str, part: str, words: Sequence[str], core: str = "") -> list[dict[str, Any]]:
    """Run a baseline that is a program to its end, on this core; return the JSON lines that it printed."""
    return printed(["-m", *BASELINES[name].module, name, *words], f"{name}.jsonl", part, {"PIN_CPU": core})


def printed(words: Sequence[str], log: str, part: str, env: dict[str, str]) -> list[dict[str, Any]]:
    """Run a Python program to its end; return the JSON objects that it printed. Raises LabError.

    A client library may write warnings between them, as librdkafka does while Kafka still loads its coordinators.
    """
    file = FOLDER / log
    file.unlink(missing_ok=True)
    record = _start(words, log, env, part)
    try:
        if process := record.process():
            process.wait(timeout=SECONDS)
    except psutil.TimeoutExpired:
        pass  # what it printed until then is kept
    finally:
        record.stop()
    lines = [json.loads(line) for line in file.read_text().splitlines() if re.fullmatch(r"\{.*\}", line)]
    if not lines:
        raise LabError(f"{' '.join(words)} failed", f"see {relative(file)}")
    return lines


def _start(words: Sequence[str], log: str, env: dict[str, str], part: str) -> processes.Record:
    """Start a Python program that finds `campus`, `lab` and the part; its output goes to `.lab/bench`."""
    path = os.pathsep.join(str(ROOT / folder) for folder in ("common", "experiments", part))
    env = os.environ | {"PYTHONPATH": path} | env
    return processes.start([sys.executable, *words], folder=ROOT, env=env, log=FOLDER / log)


def _wait_for(port: int) -> None:
    deadline = time.monotonic() + 20
    while time.monotonic() < deadline:
        with contextlib.suppress(OSError):
            raw_client.drive(port, 1, 0.01)
            return
        time.sleep(0.1)
    raise LabError(f"the baseline on port {port} did not start", f"see the logs in {relative(FOLDER)}")
