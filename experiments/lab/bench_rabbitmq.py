"""Part B's benchmark: how fast orders are accepted, completed, and worked off after a stop, beside bare floors."""

import contextlib
import time
from collections.abc import Callable, Iterator
from datetime import datetime
from typing import Any

from lab import bench_tools, cheap_client, compose, figures, http, local, processes, runtime
from lab.compose import Service
from lab.places import LabError

PART = "async-rabbitmq"
CLIENTS = (1, 8, 16)
APP_ALONE = 8400
FLOORS = ("ack", "republish")
SETTLE_SECONDS = 60.0
Lines = list[dict[str, Any]]


def measure(quick: bool, say: Callable[[str], None]) -> Lines:
    """Return the samples of Part B's benchmark."""
    orders, rounds, times = (1_000, 2, 1) if quick else (10_000, 7, 2)
    with _contestants(say) as services:
        lines = _accept(services, rounds, say)
        for n in range(times):
            say(f"end to end, a backlog, 100 orders/s: {n + 1} of {times}")
            samples = [_end_to_end(services, orders), *_drain(services, orders), _completion(services, quick)]
            lines += [sample | {"round": n} for sample in samples]
        return lines + bench_tools.costs(PART, say, services["rabbitmq"].url)


def _accept(services: dict[str, Service], rounds: int, say: Callable[[str], None]) -> Lines:
    """Let the order service and the same app alone take turns, while nobody works on what was accepted."""
    ports = {"service": services["order"].port, "alone": APP_ALONE}
    mark = _mark(services)
    _configure(services["inventory"], {"paused": True})
    for port in ports.values():
        cheap_client.drive(port, 8, 1.0)  # first requests load code and open connections
    lines = []
    for n in range(rounds):
        say(f"accepting, round {n + 1} of {rounds}")
        for clients in CLIENTS:
            for name, port in ports.items():
                lines.append(bench_tools.closed(name, port, clients, 1.0, wanted=202) | {"round": n})
                _wait("the outbox does not empty", lambda: _outbox_depth(services["order"]) == 0)
    _configure(services["inventory"], {"paused": False})
    _settle(services, mark)
    return lines


def _end_to_end(services: dict[str, Service], orders: int) -> dict[str, Any]:
    """Place orders from 16 clients; return how long that took, and how long until the last was notified."""
    mark = _mark(services)
    sample = cheap_client.drive(services["order"].port, 16, SETTLE_SECONDS, count=orders, wanted=202)
    _settle(services, mark)
    done = _rows(services["order"], "orders", mark)
    notified = [row["timeline"][-1]["at"] for row in done if row["status"] == "notified"]
    return {
        "what": "end to end",
        "orders": len(sample.latencies),
        "bad": sample.bad,
        "accept_seconds": sample.seconds,
        "notified": len(notified),
        "seconds": _seconds([row["timeline"][0]["at"] for row in done] + notified),
    }


def _drain(services: dict[str, Service], orders: int) -> Lines:
    """Let a backlog come to be while all consumers are paused, weigh them, let inventory go; then the floors."""
    mark = _settled_mark(services)
    inventory, followers = services["inventory"], (services["notification"], services["order"])
    for service in (inventory, *followers):
        _configure(service, {"paused": True})
    time.sleep(0.5)  # a consumer that is just waiting for a message would still take one
    done = _done(inventory)
    cheap_client.drive(services["order"].port, 16, SETTLE_SECONDS, count=orders, wanted=202)
    _wait("the outbox does not empty", lambda: _outbox_depth(services["order"]) == 0)
    lines = bench_tools.memory(PART)
    _configure(inventory, {"paused": False})
    _wait("the backlog stays", lambda: _done(inventory) >= done + orders)
    for service in followers:
        _configure(service, {"paused": False})
    _settle(services, mark)
    at = [row["at"] for row in _rows(inventory, "reservations", mark)]
    lines.append({"what": "drain", "name": "service", "orders": len(at), "seconds": _seconds(at)})
    return lines + [_floor(services, name, orders) for name in FLOORS]


def _floor(services: dict[str, Service], name: str, orders: int) -> dict[str, Any]:
    words = ["-m", "lab.contestants.drain", services["rabbitmq"].url, name, str(orders)]
    core = services["inventory"].environment["PIN_CPU"]
    (line,) = bench_tools.output_of(words, f"drain-{name}", core=core)
    return {"what": "drain", "name": name, **line}


def _completion(services: dict[str, Service], quick: bool) -> dict[str, Any]:
    """Return how long orders took until they were notified, at 100 orders/s, and how long until accepted."""
    mark = _settled_mark(services)
    accepted = bench_tools.open_loop("service", services["order"].port, 3.0 if quick else 6.0)
    _settle(services, mark)
    done = [row["timeline"] for row in _rows(services["order"], "orders", mark) if row["status"] == "notified"]
    times = figures.Latencies(_seconds([timeline[0]["at"], timeline[-1]["at"]]) for timeline in done)
    accept = {f"accept_{q}": accepted[q] for q in ("p50", "p95", "p99", "max")}
    counts = {"sent": accepted["sent"], "notified": len(done), "lateness_p99": accepted["lateness_p99"]}
    return {"what": "completion", **counts, **times.figures(), **accept}


@contextlib.contextmanager
def _contestants(say: Callable[[str], None]) -> Iterator[dict[str, Service]]:
    """Start the part and the order service's app alone; yield the part's services; stop them all."""
    chosen, services = local.LocalRuntime(), compose.services(PART)
    record: processes.Record | None = None
    try:
        runtime.up(chosen, PART, fresh=True, say=say)
        record = _start_app_alone(services["order"])
        bench_tools.wait_for(APP_ALONE)
        # There must be enough of what the cheap client orders, however fast it is.
        http.call("POST", f"{services['inventory'].url}/stock", json={"sku": "burger", "add": 10_000_000})
        yield services
    finally:
        http.hang_up()
        if record is not None:
            record.stop()
        runtime.down(chosen, PART)


def _start_app_alone(ours: Service) -> processes.Record:
    same = {key: ours.environment[key] for key in ("THREADS", "PIN_CPU")}
    words = ["-m", "gunicorn", "-c", "python:lab.contestants.floor_conf", "lab.contestants.app_alone:create_app()"]
    return bench_tools.start(words, "app-alone.log", {"PORT": str(APP_ALONE), **same})


def _mark(services: dict[str, Service]) -> str:
    """Place an order and return its id: the orders of later sort after it."""
    order = {"user_id": "mark", "items": [{"sku": "taco", "qty": 1}]}
    return http.call("POST", f"{services['order'].url}/order", json=order).json()["order_id"]


def _settle(services: dict[str, Service], mark: str) -> None:
    """Wait until every order since `mark` is in a final state."""
    _wait("orders stay unfinished", lambda: not _unfinished(services["order"], mark))


def _settled_mark(services: dict[str, Service]) -> str:
    """Return a mark that is itself in a final state."""
    mark = _mark(services)
    path = f"{services['order'].url}/orders/{mark}"
    _wait("an order stays unfinished", lambda: http.call("GET", path).json()["status"] in ("notified", "failed"))
    return mark


def _unfinished(order: Service, mark: str) -> bool:
    """Return whether an order since `mark` waits; looks only at those, as the service is being measured."""
    for status in ("reserved", "placed"):
        answer = http.call("GET", f"{order.url}/orders?status={status}&limit=1&after={mark}")
        if answer.json()["orders"]:
            return True
    return False


def _wait(trouble: str, done: Callable[[], bool]) -> None:
    deadline = time.monotonic() + SETTLE_SECONDS
    while not done():
        if time.monotonic() > deadline:
            raise LabError(f"{trouble} after {SETTLE_SECONDS:.0f} s", f"./lab logs {PART}/order")
        time.sleep(0.2)


def _outbox_depth(order: Service) -> float:
    return _metric(order, "outbox_depth ")


def _done(inventory: Service) -> float:
    """Return how many messages inventory has worked off since it was started."""
    return _metric(inventory, 'messages_total{outcome="done"')


def _metric(service: Service, name: str) -> float:
    lines = http.call("GET", f"{service.url}/metrics").text.splitlines()
    return next((float(line.split()[-1]) for line in lines if line.startswith(name)), 0.0)


def _configure(service: Service, faults: dict[str, Any]) -> None:
    http.call("POST", f"{service.url}/configure", json=faults)


def _rows(service: Service, name: str, mark: str) -> Lines:
    """Return the rows of the orders since `mark`."""
    rows: Lines = []
    after: str | None = mark
    while after is not None:
        page = http.call("GET", f"{service.url}/{name}?limit=1000&after={after}").json()
        rows += page[name]
        after = page["next"]
    return rows


def _seconds(times: list[str]) -> float:
    """Return the time from the earliest to the latest."""
    at = sorted(datetime.fromisoformat(time) for time in times)
    return (at[-1] - at[0]).total_seconds() if at else 0.0
