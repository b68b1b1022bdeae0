"""The three services as real processes and a real broker: what becomes of orders when one of them fails."""

import contextlib
import signal
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
from chain import NAMES, Chain
from node import Node
from testing import MARGIN, wait_until
from testing.invalid_events import INVALID_EVENTS


@pytest.fixture
def background() -> Iterator[ThreadPoolExecutor]:
    with ThreadPoolExecutor(8) as pool:
        yield pool


def test_an_order_goes_through_all_three(chain):
    order_id = chain.place(**{"X-Request-ID": "r1"})
    final = chain.becomes(order_id, "notified")
    assert [step["status"] for step in final["timeline"]] == ["placed", "reserved", "notified"]
    times = [step["at"] for step in final["timeline"]]
    assert times == sorted(times)


@pytest.mark.parametrize(("sku", "qty", "reason"), [("taco", 100, "insufficient_stock"), ("caviar", 1, "unknown_sku")])
def test_what_cannot_be_reserved_fails_with_its_reason(chain, sku, qty, reason):
    chain.inventory.call("POST", "/stock", {"sku": "taco", "set": 99})
    assert chain.becomes(chain.place(sku, qty), "failed")["reason"] == reason


@pytest.mark.promise("INV-7")
@pytest.mark.parametrize("point", ["before_commit", "after_commit", "after_publish"])
@pytest.mark.parametrize("name", NAMES)
def test_a_crash_at_any_point_loses_and_doubles_nothing(chain, name, point):
    service = getattr(chain, name)
    service.configure(crash_point=point)
    placed = [chain.try_to_place() for _ in range(3)]
    wait_until(lambda: chain.has_crashed(service))
    placed += [wait_until(chain.try_to_place) for _ in range(3)]
    for order_id in filter(None, placed):
        chain.becomes(order_id, "notified")


@pytest.mark.promise("INV-1")
@pytest.mark.parametrize("name", NAMES)
def test_a_service_killed_in_the_middle_of_many_orders_loses_and_doubles_nothing(chain, background, name):
    before = len(chain.listed(chain.order, "orders"))
    futures = [background.submit(chain.try_to_place) for _ in range(300)]
    service = getattr(chain, name)
    wait_until(lambda: len(chain.listed(chain.order, "orders")) > before + 50)
    service.kill()
    service.start()
    placed = [future.result(60) for future in futures]
    chain.up()
    chain.check()
    assert {chain.look(order_id)["status"] for order_id in placed if order_id} == {"notified"}


def test_dropped_connections_lose_and_double_nothing(chain):
    chain.inventory.configure(failure_rate=0.3, failure_mode="drop", seed=1)
    chain.notification.configure(failure_rate=0.3, failure_mode="drop", seed=1)
    connected = chain.inventory.log().count("inventory consumer: connected")
    placed = [chain.place() for _ in range(30)]
    wait_until(lambda: chain.inventory.log().count("inventory consumer: connected") > connected)
    for service in (chain.inventory, chain.notification):
        service.call("DELETE", "/configure")
    for order_id in placed:
        chain.becomes(order_id, "notified")


def test_hanging_messages_are_done_after_the_reset(chain):
    chain.inventory.configure(failure_rate=1, failure_mode="hang")
    placed = [chain.place() for _ in range(5)]
    wait_until(lambda: chain.depth() == 0)
    assert {chain.look(order_id)["status"] for order_id in placed} == {"placed"}
    chain.inventory.call("DELETE", "/configure")
    for order_id in placed:
        chain.becomes(order_id, "notified")


def test_failing_messages_are_tried_again_and_done_after_the_reset(chain):
    for service in (chain.inventory, chain.notification):
        service.configure(failure_rate=1)
    first = chain.place()
    retried = 'messages_total{outcome="retried",queue="order-placed"}'
    wait_until(lambda: chain.metric(chain.inventory, retried) >= 2)
    chain.inventory.call("DELETE", "/configure")
    second = chain.place()
    wait_until(lambda: chain.look(second)["status"] == "reserved")
    chain.notification.call("DELETE", "/configure")
    for order_id in (first, second):
        chain.becomes(order_id, "notified")


@pytest.mark.promise("b-down", "answers")
def test_orders_are_accepted_while_the_broker_is_dead_and_done_when_it_is_back(chain, background):
    futures = [background.submit(chain.place) for _ in range(100)]
    chain.node.crash()
    placed = [future.result(60) for future in futures] + [chain.place() for _ in range(20)]
    assert chain.depth() >= 20
    wait_until(lambda: "RabbitMQ cannot be reached" in chain.why(chain.order))
    chain.inventory.kill()
    seen = len(chain.inventory.log())
    chain.inventory.start()  # before there is a broker
    wait_until(lambda: "RabbitMQ cannot be reached" in chain.try_why(chain.inventory))
    assert "consumer: RabbitMQ cannot be reached" in chain.inventory.log()[seen:]
    chain.node.start()
    for order_id in placed:
        chain.becomes(order_id, "notified")
    wait_until(lambda: not any(chain.why(service) for service in chain.services))
    assert chain.depth() == 0


def test_while_rabbitmq_takes_no_messages_orders_are_accepted_and_services_stop_in_time(chain):
    with chain.node.alarm():
        placed = [chain.place() for _ in range(10)]
        wait_until(lambda: "RabbitMQ takes no messages" in chain.why(chain.order))
        placed.append(chain.place())
        assert chain.depth() >= 11
        chain.order.process.send_signal(signal.SIGTERM)
        assert chain.order.process.wait(10 + MARGIN) == 0
    chain.up()
    for order_id in placed:
        chain.becomes(order_id, "notified")


@contextlib.contextmanager
def overhearing(node: Node, key: str) -> Iterator[Callable[[int], list[bytes]]]:
    """Yield a function that waits for so many messages of a routing key, and returns all of them so far."""
    with node.channel() as channel:
        queue = channel.queue_declare("", exclusive=True).method.queue
        channel.queue_bind(queue, "orders", key)
        heard: list[bytes] = []

        def hear(count: int) -> list[bytes]:
            def listen() -> bool:
                body = channel.basic_get(queue, auto_ack=True)[2]
                heard.extend([body] if body is not None else [])
                return len(heard) >= count

            wait_until(listen)
            return heard

        yield hear


def stock_of(chain: Chain) -> dict:
    return chain.inventory.call("GET", "/stock").json()["stock"]


@pytest.mark.promise("INV-2")
def test_an_order_that_is_delivered_again_takes_nothing_and_the_same_event_is_told_again(chain):
    with overhearing(chain.node, "order.placed") as placed, overhearing(chain.node, "inventory.*") as results:
        order_id = chain.place()
        (body,) = placed(1)
        chain.becomes(order_id, "notified")
        before = stock_of(chain), chain.look(order_id)
        results(1)
        chain.node.put("order-placed", body)
        results(2)
        chain.inventory.kill()
        chain.up()
        for _ in range(3):
            chain.node.put("order-placed", body)
        assert len(set(results(5))) == 1
    assert (stock_of(chain), chain.look(order_id)) == before


def test_an_event_that_led_nowhere_is_delivered_as_the_way_is_declared_again(chain):
    with chain.node.channel() as channel:
        channel.queue_unbind("order-placed", "orders", "order.placed")
    chain.becomes(chain.place(), "notified")
    wait_until(lambda: not chain.why(chain.order))
    assert chain.depth() == 0


def test_queues_and_an_exchange_that_are_deleted_are_declared_again(chain):
    with chain.node.channel() as channel:
        for queue in ("order-placed", "inventory-reserved", "order-status"):
            channel.queue_delete(queue)
        channel.exchange_delete("orders")
    chain.becomes(chain.place(), "notified")


@pytest.mark.promise("INV-4")
def test_poison_is_dead_lettered_with_its_reason_and_harms_no_order(chain):
    placed = []
    for poison in INVALID_EVENTS:
        chain.node.put("order-placed", poison)
        placed.append(chain.place())
    letters = chain.node.take("order-placed.dlq", len(INVALID_EVENTS))
    assert sorted(body for _, body in letters) == sorted(INVALID_EVENTS)
    assert all(properties.headers["x-reason"] for properties, _ in letters)
    for order_id in placed:
        chain.becomes(order_id, "notified")


def test_a_message_of_odd_properties_harms_nobody(chain):
    odd: dict[str, Any] = {"message_id": b"\xff" * 255, "headers": {"x-history": [1, None], "deep": {"x": b"\xff"}}}
    chain.node.put("order-placed", b"{", **odd)
    ((properties, _),) = chain.node.take("order-placed.dlq")
    assert properties.headers["x-reason"].startswith("this is not JSON")
    chain.becomes(chain.place(), "notified")


@pytest.mark.parametrize("name", NAMES)
def test_sigterm_ends_a_service_in_time(chain, name):
    service = getattr(chain, name)
    placed = [chain.place() for _ in range(20)]
    service.process.send_signal(signal.SIGTERM)
    assert service.process.wait(10 + MARGIN) == 0
    chain.up()
    for order_id in placed:
        chain.becomes(order_id, "notified")


def test_the_chain_on_postgresql(tmp_path, running, broker, background, cluster):
    running.down()
    with contextlib.ExitStack() as stack:
        databases = {name: stack.enter_context(cluster.database()) for name in NAMES}
        chain = Chain(tmp_path, broker, databases)
        stack.callback(chain.down)
        chain.up()
        keys = [f"k{n // 2}" for n in range(40)]  # each order is sent twice
        futures = [background.submit(chain.place, **{"Idempotency-Key": key}) for key in keys]
        placed = {future.result(60) for future in futures}
        assert len(placed) == 20
        chain.inventory.configure(crash_point="after_commit")
        placed |= {chain.place() for _ in range(5)}
        chain.order.kill()
        chain.up()
        chain.check()
        assert {chain.look(order_id)["status"] for order_id in placed} == {"notified"}
        assert stock_of(chain)["burger"]["reserved"] == 25
