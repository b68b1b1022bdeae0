"""D5: what we expect of ten times as many orders: that each of them costs as much."""

from itertools import pairwise

from lab.checker.predictions import Run, at_most, equals
from lab.growth.size import Size

GROWTH = 1.3  # times as much an order, at most, for ten times as many
SOON = 0.020  # s, in which 95 % of the pages come, at any size
FULL = 1_000  # orders: among fewer, some pages have less than 100
MEMORY = 200  # MiB of each service
SERVICES = {"sync-rest": (), "async-rabbitmq": (), "streaming-kafka": ("analytics",)}


def sizes(run: Run) -> list[int]:
    full = [1_000, 10_000, 100_000] + ([1_000_000] if run.part == "streaming-kafka" else [])
    return [100, 1_000] if run.quick else full


def predictions(run: Run):
    for few, many in pairwise(sizes(run)):
        before, after = Size(run, few), Size(run, many)
        text = f"Processor time of an order, all services: among {many:,} ÷ among {few:,}"
        yield at_most(f"d5-processor-{many}", text, after.processor / before.processor, GROWTH, unit="times")
        text = f"Time of an order until all are done: among {many:,} ÷ among {few:,}"
        yield at_most(f"d5-seconds-{many}", text, after.seconds / before.seconds, GROWTH, unit="times")
        if few >= FULL:
            text = f"Processor time of a page of orders: among {many:,} ÷ among {few:,}"
            yield at_most(f"d5-work-{many}", text, after.work / before.work, GROWTH, unit="times")
    for many in sizes(run):
        size = Size(run, many)
        yield equals(f"d5-accepted-{many}", f"Accepted of {many:,} orders", size.ok, many, unit="orders")
        yield at_most(f"d5-page-{many}", f"95 % of the pages of orders, after {many:,}", size.page, SOON, unit="s")
        text = f"95 % of the pages of orders in one state, after {many:,}"
        yield at_most(f"d5-status-{many}", text, size.status, SOON, unit="s")
    for service in ("order", "inventory", "notification", *SERVICES[run.part]):
        text = f"Memory of {service} after {many:,} orders"
        yield at_most(f"d5-memory-{service}", text, Size(run, many).memory(service), MEMORY, unit="MiB")
