"""Part C's benchmark: how fast orders are produced, accepted, worked off and read again, beside bare loops."""

import contextlib
import json
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from lab import client as http
from lab.brokers import kafka_client
from lab.errors import LabError
from lab.runtime import local
from lab.services import Service

from benchmarks import orders as bench_orders
from benchmarks import tools
from benchmarks.orders import Lines, Services

if TYPE_CHECKING:
    from kafka import KafkaAdminClient

PART = "streaming-kafka"
ORDERS, VERDICTS, SCRATCH = "order-events", "inventory-events", "bench"
PARTITIONS = range(6)
ANALYTICS_GROUP = "analytics-consumer-group"
# How many events of each order a service reads.
EVENTS = {"inventory": 1, "notification": 1, "analytics": 2, "order": 3}
CLIENTS = ("kafka-python", "confluent-kafka")
DRAINS = ("commit", "transaction")


@dataclass(frozen=True)
class Plan:
    """How much is measured: orders, and how often."""

    replayed: int
    replays: int
    accepts: int
    drained: int
    drains: int
    bulks: dict[str, tuple[int, int]]  # the small and the large: how many orders, how often


FULL = Plan(50_000, 3, 5, 10_000, 3, {"small": (10_000, 9), "large": (100_000, 5)})
QUICK = Plan(5_000, 1, 1, 2_000, 1, {"small": (2_000, 2), "large": (10_000, 1)})


def measure(quick: bool, say: Callable[[str], None]) -> Lines:
    """Return the samples of Part C's benchmark."""
    plan = QUICK if quick else FULL
    with bench_orders.contestants(PART, say) as services, _admin(services["kafka"]) as admin:
        lines = _replays(services, admin, plan, say)
        lines += _accept(services, plan.accepts, say)
        for n in range(plan.drains):
            say(f"a backlog, 100 orders/s: {n + 1} of {plan.drains}")
            samples = [*_drain(services, admin, plan.drained, n), bench_orders.completion(services, quick)]
            lines += [sample | {"round": n} for sample in samples]
        with _paused(services, *EVENTS):  # to the end: nobody works off what is produced now
            lines += [*_bulks(services, plan, say), *tools.memory(PART)]
            return lines + tools.costs(PART, say, services["kafka"].url, SCRATCH)


def _replays(services: Services, admin: "KafkaAdminClient", plan: Plan, say: Callable[[str], None]) -> Lines:
    """Fill the log, weigh the services when all is done, and let analytics and a bare reader read it again in turns."""
    say(f"{plan.replayed:,} orders from end to end")
    with _worked_off(services, plan.replayed):
        _bulk(services["order"], plan.replayed, seed=1)
    lines = tools.memory(PART)
    events = int(bench_orders.done(services["analytics"]))
    begins = {topic: dict.fromkeys(PARTITIONS, 0) for topic in (ORDERS, VERDICTS)}
    for n in range(plan.replays):
        say(f"reading again, {n + 1} of {plan.replays}")
        ours = {"name": "service", **_replay(services["analytics"], admin, events)}
        bare = {"name": "read", **_drain_loop(services, "analytics", "read", events, begins)}
        lines += [{"what": "replay", "round": n, **sample} for sample in (ours, bare)]
    return lines


def _replay(analytics: Service, admin: "KafkaAdminClient", events: int) -> dict[str, Any]:
    """Reset analytics to the beginning of the log; return how long it took from its first work seen to its last."""
    chosen = local.LocalRuntime()
    http.hang_up()
    chosen.stop(analytics)
    _reset(admin, ANALYTICS_GROUP)
    chosen.start(analytics)
    seen: list[tuple[float, float]] = []

    def caught_up() -> bool:
        if not seen and http.try_get(f"{analytics.url}/health", timeout=1.0) is None:
            return False
        if done := bench_orders.done(analytics):
            seen.append((time.monotonic(), done))
        return done >= events

    bench_orders.wait("analytics does not catch up", caught_up, every=0.05)
    (began, first), (ended, last) = seen[0], seen[-1]
    return {"events": last - first, "seconds": ended - began}


def _accept(services: Services, rounds: int, say: Callable[[str], None]) -> Lines:
    """Let the order service and the same app alone take turns, while nobody else works on what was accepted."""
    order = services["order"]
    mark = bench_orders.mark(services)
    with _paused(services, "inventory", "notification", "analytics"):
        lines = bench_orders.accept(order, rounds, lambda: _wait_at_rest([order]), say)
    bench_orders.settle(services, mark)
    _wait_at_rest([services[name] for name in EVENTS])
    return lines


def _drain(services: Services, admin: "KafkaAdminClient", orders: int, n: int) -> Lines:
    """Produce a backlog, let inventory alone work it off, then the bare loops; then everybody, and weigh them."""
    inventory = services["inventory"]
    with _worked_off(services, orders), _paused(services, *EVENTS):
        begins = {ORDERS: _ends(admin, ORDERS)}
        done = bench_orders.done(inventory)
        placed = _bulk(services["order"], orders, seed=n)
        bench_orders.configure(inventory, {"paused": False})
        bench_orders.wait("the backlog stays", lambda: bench_orders.done(inventory) >= done + orders, every=0.05)
        ended = time.time()
        before_all = min(placed["order_ids"])[:-1]
        at = [row["at"] for row in bench_orders.rows(inventory, "reservations", before_all)]
        seconds = ended - datetime.fromisoformat(min(at)).timestamp()
        lines = [{"name": "service", "events": len(at), "seconds": seconds}]
        for kind in DRAINS:
            lines.append({"name": kind, **_drain_loop(services, "inventory", kind, orders, begins)})
    return [{"what": "drain", "placed": orders, **line} for line in lines] + tools.memory(PART)


def _bulks(services: Services, plan: Plan, say: Callable[[str], None]) -> Lines:
    """Let the order service and the bare loops produce in turns."""
    lines = []
    for size, (orders, rounds) in plan.bulks.items():
        for n in range(rounds):
            say(f"{orders:,} orders produced, round {n + 1} of {rounds}")
            ours = _bulk(services["order"], orders, seed=n)
            samples = [{"name": "service"} | {key: ours[key] for key in ("orders", "acknowledged", "seconds")}]
            for client in CLIENTS:
                words = ("kafka_produce", SCRATCH, client, str(orders))
                samples.append({"name": client, **_loop(services, "order", *words)})
            lines += [{"what": "bulk", "size": size, "round": n, **sample} for sample in samples]
    return lines


def _bulk(order: Service, count: int, seed: int) -> dict[str, Any]:
    """Place orders in one request; return the answer, how many were asked for, and how long it took."""
    began = time.monotonic()
    reply = http.call("POST", f"{order.url}/orders/bulk", json={"count": count, "seed": seed}, timeout=120)
    seconds = time.monotonic() - began
    if reply.status_code != 202:
        raise LabError(f"a bulk of {count:,} orders was answered {reply.status_code}", "./lab logs order")
    return reply.json() | {"orders": count, "seconds": seconds}


def _drain_loop(services: Services, beside: str, kind: str, events: int, begins: dict[str, Any]) -> dict[str, Any]:
    return _loop(services, beside, "kafka_drain", kind, str(events), json.dumps(begins), SCRATCH)


def _loop(services: Services, beside: str, script: str, *words: str) -> dict[str, Any]:
    """Run a bare loop on the core of the service with which it is compared; return what it printed."""
    core = services[beside].environment["PIN_CPU"]
    command = ["-m", f"benchmarks.baselines.{script}", services["kafka"].url, *words]
    (line,) = tools.output_of(command, script, core=core)
    return line


@contextlib.contextmanager
def _admin(broker: Service) -> Iterator["KafkaAdminClient"]:
    """Open an admin client, and make a topic for the bare loops that is deleted at the end."""
    with kafka_client.asking(broker) as admin:
        shape = {"num_partitions": len(PARTITIONS), "replication_factor": 1, "configs": {}}
        admin.create_topics({SCRATCH: shape}, wait_for_metadata=True)
        try:
            yield admin
        finally:
            admin.delete_topics([SCRATCH])


def _ends(admin: "KafkaAdminClient", topic: str) -> dict[int, int]:
    """Return the end of each partition."""
    from kafka import TopicPartition
    from kafka.admin import OffsetSpec

    ends = admin.list_partition_offsets({TopicPartition(topic, n): OffsetSpec.LATEST for n in PARTITIONS})
    return {partition.partition: found.offset for partition, found in ends.items()}


def _reset(admin: "KafkaAdminClient", group: str) -> None:
    """Let a group without members begin at the beginning."""
    from kafka.admin import OffsetSpec
    from kafka.errors import NoError

    read = admin.list_group_offsets({group: None})[group]
    answers = admin.reset_group_offsets(group, dict.fromkeys(read, OffsetSpec.EARLIEST))
    if {answer["error"] for answer in answers.values()} != {NoError}:
        raise LabError(f"Kafka did not reset {group}", "./lab logs analytics")


@contextlib.contextmanager
def _paused(services: Services, *names: str) -> Iterator[None]:
    """Let these services consume nothing until the end of the block."""
    for name in names:
        bench_orders.configure(services[name], {"paused": True})
    time.sleep(0.5)  # a consumer that is just waiting for messages would still take some
    yield
    for name in names:
        bench_orders.configure(services[name], {"paused": False})


@contextlib.contextmanager
def _worked_off(services: Services, orders: int) -> Iterator[None]:
    """Wait at the end of the block until each service has read all events of so many new orders."""
    wanted = {name: bench_orders.done(services[name]) + n * orders for name, n in EVENTS.items()}
    yield
    for name, n in wanted.items():
        bench_orders.wait(f"{name} has work left", lambda name=name, n=n: bench_orders.done(services[name]) >= n)


def _wait_at_rest(services: Sequence[Service]) -> None:
    """Wait until these services have nothing left to read."""

    def at_rest() -> bool:
        before = [bench_orders.done(service) for service in services]
        time.sleep(0.3)
        return before == [bench_orders.done(service) for service in services]

    bench_orders.wait("there is always more work", at_rest)
