"""What the benchmarks of Parts B and C share: orders that are accepted now and done later, and how to wait for them."""

import contextlib
import time
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from campus.orders import MENU
from lab import client
from lab.analysis import latency
from lab.errors import LabError
from lab.runtime import lifecycle, local, processes
from lab.services import Service, services_of

from benchmarks import raw_client, tools

CLIENTS = (1, 8, 16)
APP_ALONE = 8400
SETTLE_SECONDS = 120.0
Lines = list[dict[str, Any]]
Services = Mapping[str, Service]


@contextlib.contextmanager
def contestants(part: str, say: Callable[[str], None]) -> Iterator[dict[str, Service]]:
    """Start the part and the order service's app alone; yield the part's services; stop them all."""
    chosen, services = local.LocalRuntime(), services_of(part)
    record: processes.Record | None = None
    try:
        lifecycle.up(chosen, part, fresh=True, say=say)
        record = _start_app_alone(services["order"])
        tools.wait_for(APP_ALONE)
        for sku in MENU:  # there must be enough, however fast the clients are
            client.call("POST", f"{services['inventory'].url}/stock", json={"sku": sku, "add": 100_000_000})
        yield services
    finally:
        client.hang_up()
        if record is not None:
            record.stop()
        lifecycle.down(chosen, part)


def _start_app_alone(ours: Service) -> processes.Record:
    same = {key: ours.environment[key] for key in ("THREADS", "PIN_CPU")}
    words = [
        "-m",
        "gunicorn",
        "-c",
        "python:benchmarks.baselines.floor_conf",
        "benchmarks.baselines.app_alone:create_app()",
    ]
    return tools.start(words, "app-alone.log", {"PORT": str(APP_ALONE), **same})


def accept(order: Service, rounds: int, rest: Callable[[], None], say: Callable[[str], None]) -> Lines:
    """Let the order service and the same app alone take turns; `rest` waits until the former is at rest again."""
    ports = {"service": order.port, "alone": APP_ALONE}
    for port in ports.values():
        raw_client.drive(port, 8, 1.0)  # first requests load code and open connections
    lines = []
    for n in range(rounds):
        say(f"accepting, round {n + 1} of {rounds}")
        for clients in CLIENTS:
            for name, port in ports.items():
                lines.append(tools.closed(name, port, clients, 1.0, wanted=202) | {"round": n})
                rest()
    return lines


def completion(services: Services, quick: bool) -> dict[str, Any]:
    """Return how long orders took until they were notified, at 100 orders/s, and how long until accepted."""
    since = settled_mark(services)
    accepted = tools.open_loop("service", services["order"].port, 3.0 if quick else 6.0)
    settle(services, since)
    done = [row["timeline"] for row in rows(services["order"], "orders", since) if row["status"] == "notified"]
    times = latency.Latencies(seconds([timeline[0]["at"], timeline[-1]["at"]]) for timeline in done)
    accept = {f"accept_{q}": accepted[q] for q in ("p50", "p95", "p99", "max")}
    counts = {"sent": accepted["sent"], "notified": len(done), "lateness_p99": accepted["lateness_p99"]}
    return {"what": "completion", **counts, **times.figures(), **accept}


def mark(services: Services) -> str:
    """Place an order and return its id: the orders of later sort after it."""
    order = {"user_id": "mark", "items": [{"sku": "taco", "qty": 1}]}
    return client.call("POST", f"{services['order'].url}/order", json=order).json()["order_id"]


def settled_mark(services: Services) -> str:
    """Return a mark that is itself in a final state."""
    placed = mark(services)
    path = f"{services['order'].url}/orders/{placed}"
    wait("an order stays unfinished", lambda: client.call("GET", path).json()["status"] in ("notified", "failed"))
    return placed


def settle(services: Services, since: str) -> None:
    """Wait until every order since that mark is in a final state."""
    wait("orders stay unfinished", lambda: not _unfinished(services["order"], since))


def _unfinished(order: Service, since: str) -> bool:
    """Return whether an order since the mark waits; looks only at those, as the service is being measured."""
    for status in ("reserved", "placed"):
        answer = client.call("GET", f"{order.url}/orders?status={status}&limit=1&after={since}")
        if answer.json()["orders"]:
            return True
    return False


def wait(trouble: str, done: Callable[[], bool], *, every: float = 0.2) -> None:
    """Wait until something is done. Raises LabError."""
    deadline = time.monotonic() + SETTLE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise LabError(f"{trouble} after {SETTLE_SECONDS:.0f} s", "./lab logs order")
        time.sleep(every)


def done(service: Service) -> float:
    """Return how many messages a consumer has worked off since it was started."""
    return metric(service, "messages_total{", 'outcome="done"')


def metric(service: Service, name: str, label: str = "") -> float:
    """Return the figure of the line of `GET /metrics` that begins like this, and has this label; else 0."""
    lines = client.call("GET", f"{service.url}/metrics").text.splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(name) and label in line), 0.0)


def configure(service: Service, faults: dict[str, Any]) -> None:
    """Inject faults into a service."""
    client.call("POST", f"{service.url}/configure", json=faults)


def rows(service: Service, name: str, since: str) -> Lines:
    """Return the rows of the orders since a mark."""
    found: Lines = []
    after: str | None = since
    while after is not None:
        page = client.call("GET", f"{service.url}/{name}?limit=1000&after={after}").json()
        found += page[name]
        after = page["next"]
    return found


def seconds(times: list[str]) -> float:
    """Return the time from the earliest to the latest."""
    at = sorted(datetime.fromisoformat(time) for time in times)
    return (at[-1] - at[0]).total_seconds() if at else 0.0
