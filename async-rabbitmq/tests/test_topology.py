"""The exchange, the queues and their bindings, on a real broker."""

import uuid

import pika
import pytest
from broker import topology
from node import QUEUES


def test_what_is_declared_may_be_declared_again_and_keeps_its_messages(broker):
    broker.put("order-placed", b"x")
    with broker.channel() as channel:
        topology.declare(channel)
        topology.declare(channel)
    ((_, body),) = broker.take("order-placed")
    assert body == b"x"


def test_each_queue_has_a_dead_letter_queue_and_four_waiting_rooms():
    assert len(QUEUES) == len(set(QUEUES)) == 18
    assert {"order-placed", "order-placed.dlq", "inventory-reserved.retry-8s", "order-status.retry-1s"} < set(QUEUES)


@pytest.mark.parametrize(
    ("key", "queues"),
    [
        ("order.placed", ["order-placed"]),
        ("inventory.reserved", ["inventory-reserved", "order-status"]),
        ("inventory.failed", ["order-status"]),
        ("notification.sent", ["order-status"]),
    ],
)
def test_an_event_comes_to_the_queues_of_its_key_and_to_no_other(broker, key, queues):
    with broker.channel() as channel:
        channel.confirm_delivery()
        channel.basic_publish("orders", key, b"x", mandatory=True)
    for queue in queues:
        broker.take(queue)
    assert [queue for queue in QUEUES if broker.depth(queue)] == []


def test_an_unknown_key_leads_nowhere(broker):
    with broker.channel() as channel:
        channel.confirm_delivery()
        with pytest.raises(pika.exceptions.UnroutableError):
            channel.basic_publish("orders", "order.eaten", b"x", mandatory=True)


@pytest.mark.parametrize("queue", topology.QUEUES)
def test_a_waiting_room_hands_back_to_its_queue_with_all_that_the_message_had(broker, queue):
    headers = {"x-history": "[1]"}
    message_id = str(uuid.uuid4())
    broker.put(topology.retry_queue(queue, 1), b"x", message_id=message_id, headers=headers)
    ((properties, body),) = broker.take(queue)
    assert (body, properties.message_id, properties.headers["x-history"]) == (b"x", message_id, "[1]")


def test_the_waiting_rooms_hand_back_the_shortest_first(broker):
    for seconds in (4, 2, 1):
        broker.put(topology.retry_queue("order-placed", seconds), f"{seconds}".encode())
    assert [body for _, body in broker.take("order-placed", 3)] == [b"1", b"2", b"4"]


@pytest.mark.parametrize("queue", ["order-placed", "order-placed.dlq"])
def test_however_often_a_message_goes_back_it_is_not_given_up(broker, queue):
    broker.put(queue, b"x")
    with broker.channel() as channel:
        for method, _, _ in channel.consume(queue):
            if method.delivery_tag > 120:  # RabbitMQ 4 gives up after 20, where nothing is said
                break
            channel.basic_nack(method.delivery_tag, requeue=True)
    broker.take(queue)
