"""Part B's benchmark: how fast orders are accepted, completed, and worked off after a stop, beside bare floors."""

import time
from collections.abc import Callable
from typing import Any

from lab.services import Service

from benchmarks import orders as bench_orders
from benchmarks import raw_client, tools
from benchmarks.orders import Lines

PART = "async-rabbitmq"
FLOORS = ("ack", "republish")


def measure(quick: bool, say: Callable[[str], None]) -> Lines:
    """Return the samples of Part B's benchmark."""
    orders, rounds, times = (1_000, 2, 1) if quick else (10_000, 7, 2)
    with bench_orders.contestants(PART, say) as services:
        lines = _accept(services, rounds, say)
        for n in range(times):
            say(f"end to end, a backlog, 100 orders/s: {n + 1} of {times}")
            samples = [
                _end_to_end(services, orders),
                *_drain(services, orders),
                bench_orders.completion(services, quick),
            ]
            lines += [sample | {"round": n} for sample in samples]
        return lines + tools.costs(PART, say, services["rabbitmq"].url)


def _accept(services: dict[str, Service], rounds: int, say: Callable[[str], None]) -> Lines:
    """Let the order service and the same app alone take turns, while nobody works on what was accepted."""
    mark = bench_orders.mark(services)
    bench_orders.configure(services["inventory"], {"paused": True})
    lines = bench_orders.accept(services["order"], rounds, lambda: _wait_for_outbox(services["order"]), say)
    bench_orders.configure(services["inventory"], {"paused": False})
    bench_orders.settle(services, mark)
    return lines


def _end_to_end(services: dict[str, Service], orders: int) -> dict[str, Any]:
    """Place orders from 16 clients; return how long that took, and how long until the last was notified."""
    mark = bench_orders.mark(services)
    sample = raw_client.drive(services["order"].port, 16, bench_orders.SETTLE_SECONDS, count=orders, wanted=202)
    bench_orders.settle(services, mark)
    done = bench_orders.rows(services["order"], "orders", mark)
    notified = [row["timeline"][-1]["at"] for row in done if row["status"] == "notified"]
    return {
        "what": "end to end",
        "orders": len(sample.latencies),
        "bad": sample.bad,
        "accept_seconds": sample.seconds,
        "notified": len(notified),
        "seconds": bench_orders.seconds([row["timeline"][0]["at"] for row in done] + notified),
    }


def _drain(services: dict[str, Service], orders: int) -> Lines:
    """Let a backlog come to be while all consumers are paused, weigh them, let inventory go; then the floors."""
    mark = bench_orders.settled_mark(services)
    inventory, followers = services["inventory"], (services["notification"], services["order"])
    for service in (inventory, *followers):
        bench_orders.configure(service, {"paused": True})
    time.sleep(0.5)  # a consumer that is just waiting for a message would still take one
    done = bench_orders.done(inventory)
    raw_client.drive(services["order"].port, 16, bench_orders.SETTLE_SECONDS, count=orders, wanted=202)
    _wait_for_outbox(services["order"])
    lines = tools.memory(PART)
    bench_orders.configure(inventory, {"paused": False})
    bench_orders.wait("the backlog stays", lambda: bench_orders.done(inventory) >= done + orders)
    for service in followers:
        bench_orders.configure(service, {"paused": False})
    bench_orders.settle(services, mark)
    at = [row["at"] for row in bench_orders.rows(inventory, "reservations", mark)]
    lines.append({"what": "drain", "name": "service", "orders": len(at), "seconds": bench_orders.seconds(at)})
    return lines + [_floor(services, name, orders) for name in FLOORS]


def _floor(services: dict[str, Service], name: str, orders: int) -> dict[str, Any]:
    words = ["-m", "benchmarks.baselines.drain", services["rabbitmq"].url, name, str(orders)]
    core = services["inventory"].environment["PIN_CPU"]
    (line,) = tools.output_of(words, f"drain-{name}", core=core)
    return {"what": "drain", "name": name, **line}


def _wait_for_outbox(order: Service) -> None:
    bench_orders.wait("the outbox does not empty", lambda: bench_orders.metric(order, "outbox_depth ") == 0)
