"""Whose fault it is: the real chain while a database is locked, connections drop, a consumer dies again and again."""

import contextlib
import sqlite3
from collections.abc import Iterator

import pytest
from campus.events import INVENTORY_FAILED, new_event
from chain import NAMES, PART, Chain
from node import QUEUES
from testing import Service, wait_until


def dead(chain: Chain) -> int:
    return sum(chain.node.depth(queue) for queue in QUEUES if queue.endswith(".dlq"))


def outcomes(service: Service, outcome: str) -> float:
    lines = service.call("GET", "/metrics").data.decode().splitlines()
    return sum(float(line.split()[-1]) for line in lines if line.startswith(f'messages_total{{outcome="{outcome}"'))


@contextlib.contextmanager
def locked(service: Service) -> Iterator[None]:
    """Let another process hold the lock of a service's database for a while."""
    other = sqlite3.connect(service.folder / f"{service.name}.db", isolation_level=None, timeout=30)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@pytest.mark.promise("infrastructure")
@pytest.mark.parametrize(
    ("name", "queue"),
    [("inventory", "order-placed"), ("notification", "inventory-reserved"), ("order", "order-status")],
)
def test_while_a_database_is_locked_no_message_is_blamed(chain, name, queue):
    service = getattr(chain, name)
    chain.inventory.configure(paused=True)
    placed = [chain.place() for _ in range(20)]
    before = outcomes(service, "retried")
    with locked(service):
        chain.inventory.call("DELETE", "/configure")
        wait_until(lambda: f"{queue}: DatabaseDown" in chain.why(service))
    for order_id in placed:
        chain.becomes(order_id, "notified")
    wait_until(lambda: not chain.why(service))
    assert (outcomes(service, "retried"), dead(chain)) == (before, 0)


@pytest.mark.promise("infrastructure")
def test_a_backlog_is_worked_off_while_connections_drop(chain):
    chain.inventory.configure(paused=True)
    placed = [chain.place() for _ in range(60)]
    wait_until(lambda: chain.depth() == 0)
    chain.inventory.configure(paused=False, failure_rate=0.2, failure_mode="drop", seed=1)
    for order_id in placed:
        chain.becomes(order_id, "notified")
    assert dead(chain) == 0


@pytest.mark.promise("progress")
def test_a_consumer_that_crashes_again_and_again_loses_nothing_and_gets_on(chain):
    chain.inventory.configure(paused=True)
    placed = [chain.place() for _ in range(30)]
    wait_until(lambda: chain.depth() == 0)
    for _ in range(3):
        chain.inventory.configure(paused=False, crash_point="before_commit")
        wait_until(lambda: chain.has_crashed(chain.inventory))
    for order_id in placed:
        chain.becomes(order_id, "notified")
    assert dead(chain) == 0


@pytest.mark.promise("progress")
def test_what_can_never_be_applied_is_dead_lettered_at_once_and_holds_up_nobody(chain):
    final = chain.place()
    chain.becomes(final, "notified")
    before = outcomes(chain.order, "retried")
    contradiction = new_event(INVENTORY_FAILED, final, {"reason": "insufficient_stock"})
    chain.node.put("order-status", contradiction.encode(), message_id=contradiction.event_id)
    placed = chain.place()
    ((properties, body),) = chain.node.take("order-status.dlq")
    assert body == contradiction.encode()
    assert properties.headers["x-reason"].endswith("is notified and cannot become failed")
    chain.becomes(placed, "notified")
    assert outcomes(chain.order, "retried") == before
    assert chain.look(final)["status"] == "notified"


def test_poison_after_its_dead_letter_queue_was_deleted_holds_up_nobody(chain):
    with chain.node.channel() as channel:
        channel.queue_delete("order-placed.dlq")
    chain.node.put("order-placed", b"no JSON")
    chain.becomes(chain.place(), "notified")
    wait_until(lambda: chain.node.has("order-placed.dlq"), what="the queue is declared again", alive=chain.node)
    ((_, body),) = chain.node.take("order-placed.dlq")
    assert body == b"no JSON"


@pytest.mark.long
@pytest.mark.parametrize("name", NAMES)
def test_a_second_service_with_a_database_of_its_own_refuses_with_one_sentence(chain, tmp_path, name):
    second = Service(PART, name, tmp_path, RABBITMQ_URL=chain.node.url)
    second.start()
    try:
        wait_until(lambda: not second.runs, 60)
        assert second.process.returncode == 3
        assert second.log().count("this service must not run: another consumer has the queue") == 1
    finally:
        second.kill()
    chain.becomes(chain.place(), "notified")
