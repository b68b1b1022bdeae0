"""Two order services on one PostgreSQL: one leaves the other's orders alone as long as it lives, and no longer."""

import contextlib
import os
import signal
import threading
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
from test_chain import PART, Chain
from testing import Service, wait_until


@pytest.fixture(scope="module")
def running(tmp_path_factory, cluster) -> Iterator[tuple[Chain, Service]]:
    with contextlib.ExitStack() as stack:
        database = stack.enter_context(cluster.database())
        chain = Chain(tmp_path_factory.mktemp("one"), {"order": database})
        folder: Path = tmp_path_factory.mktemp("two")
        services = {"INVENTORY_URL": chain.inventory.url, "NOTIFICATION_URL": chain.notification.url}
        second = Service(PART, "order", folder, DATABASE_URL=database, **services)
        for stop in (chain.down, second.kill):
            stack.callback(stop)
        chain.up()
        yield chain, second


@pytest.fixture
def both(running) -> Iterator[tuple[Chain, Service]]:
    """The chain and a second order service, all up and without faults."""
    chain, second = running
    chain.up()
    if not second.runs:
        second.start()
    wait_until(second.ready, alive=second)
    yield running
    os.killpg(chain.order.process.pid, signal.SIGCONT)


def test_a_process_that_starts_leaves_orders_alone_that_another_still_works_on(both):
    chain, second = both
    second.kill()
    chain.order.configure(timeout=30)
    chain.inventory.configure(delay=3)

    started = threading.Event()

    def keep_ordering() -> list[int]:
        statuses = [chain.place().status]
        while not started.is_set():
            statuses.append(chain.place().status)
        return statuses

    second.start()
    with ThreadPoolExecutor(4) as pool:
        clients = [pool.submit(keep_ordering) for _ in range(4)]
        try:
            wait_until(second.ready, alive=second)
        finally:
            started.set()
        assert {status for client in clients for status in client.result(60)} == {201}


def test_a_process_that_was_frozen_goes_on_with_what_another_made_of_its_order(both):
    chain, second = both
    chain.inventory.configure(delay=1)
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(chain.place)
        order_id = chain.in_flight()
        os.killpg(chain.order.process.pid, signal.SIGSTOP)
        final = wait_until(
            lambda: (o := second.call("GET", f"/orders/{order_id}").json())["status"] in ("notified", "failed") and o,
            alive=second,
        )
        os.killpg(chain.order.process.pid, signal.SIGCONT)
        answered = answer.result(30)
    assert chain.becomes(order_id, final["status"]) == final
    assert answered.status in ((201, 504) if final["status"] == "notified" else (504,))
    assert (chain.holds(order_id) == "reserved") == (final["status"] == "notified")
    assert chain.notifications(order_id) == (final["status"] == "notified")
