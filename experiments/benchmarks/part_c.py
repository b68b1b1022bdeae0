"""Part C's benchmark: how fast orders are produced, accepted, drained and read again, beside bare loops."""

import contextlib
import time
from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lab import client
from lab.brokers import kafka_client
from lab.errors import LabError
from lab.runtime import local
from lab.services import Service

from benchmarks import baselines, measure
from benchmarks.measure import Bench, Services

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

ORDERS, RESULTS, SCRATCH = "order-events", "inventory-events", "bench"
ANALYTICS_GROUP = "analytics-consumer-group"
EVENTS = {"inventory": 1, "notification": 1, "analytics": 2, "order": 3}  # of each order that a service reads


# How many orders, and how often.
FULL = {"replay": (50_000, 3), "accept": 5, "drain": (10_000, 3), "small": (10_000, 9), "large": (100_000, 5)}
QUICK = {"replay": (5_000, 1), "accept": 1, "drain": (2_000, 1), "small": (2_000, 2), "large": (10_000, 1)}


def run(bench: Bench) -> None:
    """Take the samples of Part C's benchmark."""
    plan: dict[str, Any] = QUICK if bench.quick else FULL
    with bench.up("alone") as services, _admin(services["kafka"]) as admin:
        _replays(bench, services, admin, *plan["replay"])
        consumers = [name for name in EVENTS if name != "order"]
        bench.accept(services, plan["accept"], consumers, lambda: _wait_at_rest([services["order"]]))
        _wait_at_rest([services[name] for name in EVENTS])
        backlog, rounds = plan["drain"]
        for n in bench.rounds(rounds, "a backlog, 100 orders/s"):
            _drain(bench, services, backlog, n)
            bench.completion(services)
        with measure.paused(services, EVENTS):  # to the end: no service works on what is produced now
            for size in ("small", "large"):
                orders, rounds = plan[size]
                for n in bench.rounds(rounds, f"{orders:,} orders produced"):
                    bench.add("bulk", size=size, **_bulk(services["order"], orders, seed=n))
                    for name in ("kafka-python", "confluent-kafka"):
                        _loop(bench, services, "bulk", "order", name, orders, SCRATCH, size=size)
            bench.memory()
            bench.costs(services["kafka"].url, SCRATCH)


def _replays(bench: Bench, services: Services, admin: "KafkaAdminClient", orders: int, rounds: int) -> None:
    """Fill the log, and let analytics and a bare reader read it again in turns."""
    bench.say(f"{orders:,} orders from end to end")
    began, inventory = time.monotonic(), services["inventory"]
    with _all_read(services, orders):
        _bulk(services["order"], orders, seed=1)
        measure.wait("the orders stay", lambda: measure.done(inventory) >= orders, every=0.05)
        reserved = time.monotonic() - began
        followed = EVENTS["order"] * orders
        measure.wait("the log is not followed", lambda: measure.done(services["order"]) >= followed, every=0.05)
    bench.add("follow", orders=orders, reserved=reserved, seconds=time.monotonic() - began)
    bench.memory()
    events = int(measure.done(services["analytics"]))
    for _ in bench.rounds(rounds, "reading again"):
        bench.add("replay", **_replay(services["analytics"], admin, events))
        _loop(bench, services, "replay", "analytics", "read", events, "0", f"{ORDERS},{RESULTS}", SCRATCH)


def _replay(analytics: Service, admin: "KafkaAdminClient", events: int) -> dict[str, Any]:
    """Reset analytics to the beginning of the log; return how long it took from its first work seen to its last."""
    client.hang_up()
    local.LocalRuntime().stop(analytics)
    partitions = admin.list_group_offsets({ANALYTICS_GROUP: None})[ANALYTICS_GROUP]
    kafka_client.move(admin, ANALYTICS_GROUP, dict.fromkeys(partitions, 0))
    local.LocalRuntime().start(analytics)
    seen: list[tuple[float, float]] = []

    def caught_up() -> bool:
        if done := measure.done(analytics):
            seen.append((time.monotonic(), done))
        return done >= events

    measure.wait("analytics does not catch up", caught_up, every=0.05)
    (began, first), (ended, last) = seen[0], seen[-1]
    return {"events": last - first, "seconds": ended - began}


def _drain(bench: Bench, services: Services, orders: int, n: int) -> None:
    """Produce a backlog, let inventory alone drain it, then the bare loops; then start all, and weigh them."""
    inventory, mark = services["inventory"], measure.settled_mark(services)
    _wait_at_rest([services[name] for name in EVENTS])
    with _all_read(services, orders), measure.paused(services, EVENTS):
        since, done = str(int(time.time() * 1000)), measure.done(inventory)
        _bulk(services["order"], orders, seed=n)
        measure.resume(inventory)
        measure.wait("the backlog stays", lambda: measure.done(inventory) >= done + orders, every=0.05)
        ended = time.time()
        at = [row["at"] for row in client.each_row(f"{inventory.url}/reservations", "reservations", mark)]
        took = ended - datetime.fromisoformat(min(at)).timestamp()
        bench.add("drain", placed=orders, events=len(at), seconds=took)
        for kind in ("commit", "transaction"):
            _loop(bench, services, "drain", "inventory", kind, orders, since, ORDERS, SCRATCH)
    bench.memory()


def _bulk(order: Service, count: int, seed: int) -> dict[str, Any]:
    """Place orders in one request; return how many were acknowledged, and how long it took. Raises LabError."""
    began = time.monotonic()
    reply = client.call("POST", f"{order.url}/orders/bulk", json={"count": count, "seed": seed}, timeout=120)
    seconds = time.monotonic() - began
    if reply.status_code != 202:
        raise LabError(f"a bulk of {count:,} orders was answered {reply.status_code}", "./lab logs order")
    return {"orders": count, "acknowledged": reply.json()["acknowledged"], "seconds": seconds}


def _loop(
    bench: Bench, services: Services, what: str, beside: str, name: str, count: int, *words: str, **more: Any
) -> None:
    """Run a bare loop on the core of the service with which it is compared, and keep what it printed."""
    words = (services["kafka"].url, str(count), *words)
    (line,) = baselines.output_of(name, bench.part, words, services[beside].environment["PIN_CPU"])
    bench.add(what, name, **more, **line)


@contextlib.contextmanager
def _admin(broker: Service) -> Iterator["KafkaAdminClient"]:
    """Open an admin client, and make a topic for the bare loops."""
    with kafka_client.asking(broker) as admin:
        admin.create_topics({SCRATCH: {"num_partitions": 6, "replication_factor": 1}}, wait_for_metadata=True)
        yield admin


@contextlib.contextmanager
def _all_read(services: Services, orders: int) -> Iterator[None]:
    """Wait at the end of the block until each service has read all events of so many new orders."""
    wanted = {name: measure.done(services[name]) + n * orders for name, n in EVENTS.items()}
    yield
    for name, n in wanted.items():
        measure.wait(f"{name} has work left", lambda name=name, n=n: measure.done(services[name]) >= n)


def _wait_at_rest(services: Sequence[Service]) -> None:
    def at_rest() -> bool:
        before = [measure.done(service) for service in services]
        time.sleep(0.3)
        return before == [measure.done(service) for service in services]

    measure.wait("there is always more work", at_rest)
