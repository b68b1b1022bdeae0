"""One size of an experiment about growth: so many orders more, and what they cost in time, memory and storage.

The history has a line for each size, and no line for each order (those are in `lab.growth.portions`):
`{"type": "grown", "orders": 1000, "total": 1500, "ok": 1000, "accepted": s, "seconds": s, "processor": {service: s},
"memory": {service: MiB}, "store": {service: MiB}, "page": s, "status": s, "work": s, "settling": s}`. `accepted` is
until the last reply, `seconds` until nothing was left to do. `processor` is for all these orders together. `page` and
`status` are the 95th percentiles of what a page of 100 orders took, anywhere in the list, or of those in one state.
Each page is asked for TRIES times, and the quickest counts: what another program did meanwhile is not the service's
time. `work` is the processor time of the order service for one of these pages.
"""

import time
from collections.abc import Iterable, Iterator
from itertools import chain
from typing import Any

import psutil
from campus.orders import MENU

from lab import client
from lab.errors import LabError
from lab.growth import portions
from lab.history import settling
from lab.history.machine import Machine
from lab.history.recorder import RunRecorder
from lab.load import bulk, generator
from lab.load.generator import Plan
from lab.runtime import data, lifecycle, local
from lab.services import Service, services_of

CLIENTS = 16
BULK = 100_000  # orders of one request, at most
SETTLE_SECONDS = 1200.0
QUERIES, TRIES = 100, 3
MIB = 2**20
LOGS = ("-wal", "-shm")  # SQLite's write-ahead log, which is at most 40 MB long (`campus.checkpoints`)

Services = dict[str, Service]


def grow(recorder: RunRecorder, count: int) -> dict[str, Any]:
    """Send so many orders, wait until they are done, and note what they cost. Raises LabError."""
    if lifecycle.choose().name == "docker":
        raise LabError("with Docker it cannot be measured what a service uses", "LAB_RUNTIME=local experiments/…")
    services = services_of(recorder.head["part"])
    earlier = [e["orders"] for e in recorder.lines() if e["type"] == "grown"]
    if not earlier:
        portions.begin(recorder.head)
        for sku in MENU:  # enough for all sizes
            client.call("POST", f"{services['inventory'].url}/stock", json={"sku": sku, "add": 100_000_000})
    phase, machine, used, began = f"grow{count}", Machine(), processor_seconds(services), recorder.now()
    recorder.record(type="begins", phase=phase)
    lines = [_send(plan, services["order"].url, recorder) for plan in _plans(recorder.head["part"], phase, count)]
    accepted = recorder.now()
    if not settling.settle(recorder, SETTLE_SECONDS):
        raise LabError(f"{count:,} orders are not done after {SETTLE_SECONDS:.0f} s", "./lab logs order")
    ended = recorder.now()
    processor = {name: round(seconds - used[name], 3) for name, seconds in processor_seconds(services).items()}
    recorder.record(type="machine", phase=phase, **machine.seen())
    ids: list[str] = []
    portions.add_load(recorder.head, _noting(chain.from_iterable(lines), ids))
    found = {
        "orders": count,
        "total": sum(earlier) + count,
        "ok": len(ids),
        "accepted": round(accepted - began, 3),
        "seconds": round(ended - began, 3),
        "processor": processor,
        **_weight(services),
        **_queries(services, ids),
        "settling": _settling(recorder),
    }
    recorder.record(type="grown", **found)
    return found


def _plans(part: str, phase: str, count: int) -> Iterator[Plan]:
    if part != "streaming-kafka":
        yield Plan(phase, clients=CLIENTS, count=count)
        return
    for n, first in enumerate(range(0, count, BULK)):  # no two requests have a seed in common: it names their orders
        yield Plan(phase, bulk=True, count=min(BULK, count - first), seed=count + n, timeout=300.0)


def _send(plan: Plan, url: str, recorder: RunRecorder) -> Iterable[dict[str, Any]]:
    drive = bulk.run if plan.bulk else generator.run
    return drive(plan, url, recorder.now)[0]


def _noting(lines: Iterable[dict[str, Any]], ids: list[str]) -> Iterator[dict[str, Any]]:
    """Yield the lines, and note the ids of the orders that were accepted."""
    for line in lines:
        if line["type"] == "ok":
            ids.append(line["order_id"])
        yield line


def family(service: Service) -> list[psutil.Process]:
    """Return the processes of a service: with gunicorn, its workers too."""
    leader = psutil.Process(local.LocalRuntime().pid(service))
    return [leader, *leader.children(recursive=True)]


def processor_seconds(services: Services) -> dict[str, float]:
    """Return the processor seconds that each service has used since it was started."""
    return {
        name: sum(sum(process.cpu_times()[:2]) for process in family(service)) for name, service in services.items()
    }


def _weight(services: Services) -> dict[str, dict[str, float]]:
    """Return the MiB that each service has in memory, shared pages counted once, and in its store."""
    memory, store = {}, {}
    for name, service in services.items():
        memory[name] = sum(_resident(process) for process in family(service))
        folders = [data.folder(service.part) / volume for volume in service.volumes]
        files = (file for place in folders for file in place.rglob("*") if file.is_file())
        store[name] = 512 * sum(file.stat().st_blocks for file in files if not file.name.endswith(LOGS))
    return {"memory": _in_mib(memory), "store": _in_mib({name: size for name, size in store.items() if size})}


def _resident(process: psutil.Process) -> int:
    info = process.memory_full_info()
    return getattr(info, "pss", info.rss)


def _in_mib(sizes: dict[str, float]) -> dict[str, float]:
    return {name: round(size / MIB, 1) for name, size in sizes.items()}


def _queries(services: Services, ids: list[str]) -> dict[str, float]:
    """Return what pages of orders took, after orders from all over the list, and of the orders in a state."""
    order = {"order": services["order"]}
    some = ids[:: max(1, len(ids) // QUERIES)][:QUERIES]
    pages = [f"limit=100&after={order_id}" for order_id in some]
    states = [f"limit=100&status={status}" for status in ("placed", "notified")] * (QUERIES // 2)
    used = processor_seconds(order)["order"]
    found = {"page": _slow(order["order"].url, pages), "status": _slow(order["order"].url, states)}
    work = (processor_seconds(order)["order"] - used) / (TRIES * (len(pages) + len(states)))
    return found | {"work": round(work, 6)}


def _slow(url: str, queries: list[str]) -> float:
    """Return the 95th percentile of what these queries took, each at its quickest."""
    took = sorted(min(_took(url, query) for _ in range(TRIES)) for query in queries)
    return round(took[int(0.95 * len(took))], 6) if took else 0.0


def _took(url: str, query: str) -> float:
    began = time.monotonic()
    client.call("GET", f"{url}/orders?{query}")
    return time.monotonic() - began


def _settling(recorder: RunRecorder) -> float:
    """Return how long it takes to see that nothing is left to do."""
    began = time.monotonic()
    settling.settle(recorder, 60.0)
    return round(time.monotonic() - began, 3)
