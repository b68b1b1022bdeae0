"""Part B's benchmark: how fast orders are accepted, completed, and drained after a stop, beside bare baselines."""

from lab import client
from lab.services import Service

from benchmarks import baselines, measure, raw_client
from benchmarks.measure import SETTLE_SECONDS, Bench, Services


def run(bench: Bench) -> None:
    """Take the samples of Part B's benchmark."""
    orders, accepts, rounds = (1_000, 2, 1) if bench.quick else (10_000, 7, 3)
    with bench.up("alone") as services:
        bench.accept(services, accepts, ["inventory"], lambda: _wait_for_outbox(services["order"]))
        for _ in bench.rounds(rounds, "end to end, a backlog, 100 orders/s"):
            _end_to_end(bench, services, orders)
            _drain(bench, services, orders)
            bench.completion(services)
        bench.costs(services["rabbitmq"].url)


def _end_to_end(bench: Bench, services: Services, orders: int) -> None:
    """Place orders from 16 clients; keep how long that took, and how long until the last was notified."""
    mark = measure.mark(services)
    sample = raw_client.drive(services["order"].port, 16, SETTLE_SECONDS, count=orders, wanted=202)
    measure.settle(services, mark)
    done = [*client.each_row(f"{services['order'].url}/orders", "orders", mark)]
    notified = [row["timeline"][-1]["at"] for row in done if row["status"] == "notified"]
    took = measure.seconds([row["timeline"][0]["at"] for row in done] + notified)
    counts = {"orders": len(sample.latencies), "bad": sample.bad, "notified": len(notified)}
    bench.add("end to end", accept_seconds=sample.seconds, seconds=took, **counts)


def _drain(bench: Bench, services: Services, orders: int) -> None:
    """Let a backlog grow while all consumers are paused, then let inventory go alone; then the bare baselines."""
    mark, inventory = measure.settled_mark(services), services["inventory"]
    with measure.paused(services, ["inventory", "notification", "order"]):
        done = measure.done(inventory)
        raw_client.drive(services["order"].port, 16, SETTLE_SECONDS, count=orders, wanted=202)
        _wait_for_outbox(services["order"])
        bench.memory()
        measure.resume(inventory)
        measure.wait("the backlog stays", lambda: measure.done(inventory) >= done + orders)
    measure.settle(services, mark)
    at = [row["at"] for row in client.each_row(f"{inventory.url}/reservations", "reservations", mark)]
    bench.add("drain", orders=len(at), placed=orders, seconds=measure.seconds(at))
    for name in ("republish", "ack"):
        words = (services["rabbitmq"].url, str(orders))
        (line,) = baselines.output_of(name, bench.part, words, inventory.environment["PIN_CPU"])
        bench.add("drain", name, **line)


def _wait_for_outbox(order: Service) -> None:
    measure.wait("the outbox does not empty", lambda: client.metric(order.url, "outbox_depth") == 0)
