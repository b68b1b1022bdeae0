"""Publishing and consuming over real connections, which are lost, blocked or idle."""

import contextlib
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from broker.connection import ASK_SECONDS, BrokerDown
from broker.consumer import Consumer
from broker.publisher import Outgoing, Publisher
from testing import wait_until

QUEUE = "order-placed"
HEARTBEAT = 2


def letter(body: str, *, key: str = QUEUE, message_id: str | None = None) -> Outgoing:
    return Outgoing("", key, body.encode(), body if message_id is None else message_id)


def works(check: Callable[[], None]) -> bool:
    with contextlib.suppress(BrokerDown):
        check()
        return True
    return False


def fails(check: Callable[[], None], why: str) -> bool:
    try:
        check()
    except BrokerDown as error:
        return why in str(error)
    return False


def publish(publisher: Publisher, *letters: Outgoing) -> list[str | None]:
    """Publish, as soon as there is a broker."""
    wait_until(lambda: works(publisher.check))
    return publisher.publish(letters, timeout=60)


def take(consumer: Consumer, count: int) -> list:
    """Wait for so many deliveries."""
    taken: list = []
    wait_until(lambda: taken.extend(consumer.take(count - len(taken), 0.1)) or len(taken) == count)
    return taken


def take_and_ack(consumer: Consumer, count: int) -> list:
    """Wait for so many deliveries, and acknowledge each: what comes again is fetched one by one."""
    taken = []
    for _ in range(count):
        taken += take(consumer, 1)
        consumer.ack(taken[-1:], all_before=False)
    return taken


def bodies(deliveries: list) -> list[str]:
    return [delivery.body.decode() for delivery in deliveries]


@pytest.fixture
def connect(broker) -> Iterator[Callable]:
    """A function that starts a publisher or a consumer; it is stopped at the end."""
    with contextlib.ExitStack() as stack:

        def start(kind: type, *more: str):
            connection = kind(f"{broker.url}?heartbeat={HEARTBEAT}", "test", *more)
            connection.start()
            stack.callback(connection.stop)
            return connection

        yield start


@pytest.fixture
def publisher(connect) -> Publisher:
    return connect(Publisher)


@pytest.fixture
def consumer(connect) -> Consumer:
    return connect(Consumer, QUEUE)


def test_what_is_confirmed_is_in_the_queue_in_order_with_its_id_and_headers(broker, publisher):
    wait_until(lambda: works(publisher.check))
    letters = [Outgoing("", QUEUE, b"%d" % n, f"id{n}", {"x-reason": "ü"}) for n in range(300)]
    assert publisher.publish(letters, timeout=60) == [None] * 300
    taken = broker.take(QUEUE, 300)
    assert [body for _, body in taken] == [b"%d" % n for n in range(300)]
    first = taken[0][0]
    assert (first.message_id, first.headers["x-reason"], first.delivery_mode) == ("id0", "ü", 2)


def test_threads_share_the_connection(broker, publisher):
    wait_until(lambda: works(publisher.check))
    answers: list[str | None] = []

    def work(name: int) -> None:
        for n in range(20):
            answers.extend(publisher.publish([letter(f"{name}-{n}")], timeout=60))

    threads = [threading.Thread(target=work, args=[name]) for name in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert answers == [None] * 160
    assert len({body for _, body in broker.take(QUEUE, 160)}) == 160


def test_what_leads_nowhere_is_reported_and_the_others_arrive(broker, publisher):
    troubles = publish(publisher, letter("a"), letter("b", key="nowhere"), letter("c"))
    assert [bool(trouble) for trouble in troubles] == [False, True, False]
    assert troubles[1] == "returned: NO_ROUTE for nowhere"
    assert [body for _, body in broker.take(QUEUE, 2)] == [b"a", b"c"]


def test_messages_with_one_id_or_none_are_told_apart(publisher):
    same = [letter(f"{n}", key="nowhere", message_id="") for n in range(50)]
    troubles = publish(publisher, *same, letter("there", message_id=""))
    assert troubles == ["returned: NO_ROUTE for nowhere"] * 50 + [None]


def test_nothing_to_publish_needs_no_broker():
    assert Publisher("amqp://guest:guest@127.0.0.1:1/%2f", "test").publish([], timeout=1) == []


def test_an_exchange_that_is_gone_is_reported_and_declared_again(broker, publisher):
    on_lost = Outgoing("orders", "order.placed", b"x", "x")
    assert publish(publisher, on_lost) == [None]
    with broker.channel() as channel:
        channel.exchange_delete("orders")
    assert publish(publisher, on_lost)[0].startswith("the connection was lost")
    assert publish(publisher, on_lost) == [None]


def test_connections_outlive_a_time_of_silence(broker, publisher, consumer):
    publish(publisher, letter("before"))
    consumer.ack(take(consumer, 1), all_before=True)
    time.sleep(4 * HEARTBEAT)  # the silence is what is tested: RabbitMQ hangs up after two heartbeats
    assert publisher.publish([letter("after")], timeout=60) == [None]
    assert bodies(take(consumer, 1)) == ["after"]


def test_without_a_broker_nothing_is_sent_and_it_is_said_why():
    publisher = Publisher("amqp://guest:guest@127.0.0.1:1/%2f", "test")
    with pytest.raises(BrokerDown, match="not connected yet"):
        publisher.publish([letter("a")], timeout=1)
    publisher.start()
    wait_until(lambda: fails(publisher.check, "RabbitMQ cannot be reached"))
    publisher.stop()
    assert "connection test publisher" not in [thread.name for thread in threading.enumerate()]


def test_deliveries_come_in_batches_and_are_gone_when_they_are_acknowledged(broker, publisher, consumer):
    publish(publisher, *(letter(f"{n}") for n in range(5)))
    taken = take(consumer, 2) + take(consumer, 3)
    assert bodies(taken) == ["0", "1", "2", "3", "4"]
    assert consumer.take(9, 0) == []
    consumer.ack(taken[-1:], all_before=True)
    consumer.drop()
    publish(publisher, letter("last"))
    assert bodies(take(consumer, 1)) == ["last"]


def test_what_is_not_acknowledged_comes_again_and_only_that(publisher, consumer):
    publish(publisher, *(letter(f"{n}") for n in range(5)))
    taken = take(consumer, 5)
    consumer.ack([taken[1], taken[3]], all_before=False)
    consumer.drop()
    wait_until(lambda: not consumer.holds(taken[0]))
    (again,) = take(consumer, 1)
    consumer.ack(taken[:2], all_before=True)  # of the old connection: it must not touch the new one
    consumer.drop()
    wait_until(lambda: not consumer.holds(again))
    assert sorted(bodies(take_and_ack(consumer, 3))) == ["0", "2", "4"]


def test_a_consumer_whose_queue_is_deleted_comes_back(broker, publisher, consumer):
    publish(publisher, letter("before"))
    take(consumer, 1)
    with broker.channel() as channel:
        channel.queue_delete(QUEUE)
    wait_until(lambda: publish(publisher, letter("after")) == [None])
    assert bodies(take(consumer, 1)) == ["after"]


def test_a_consumer_that_rabbitmq_has_forgotten_comes_back(publisher, consumer):
    """So it is when its queue is deleted and declared anew at the same moment: RabbitMQ may not tell it."""
    wait_until(lambda: works(consumer.check))
    consumer._connection.call(lambda: consumer._channel.basic_cancel(consumer._tag))
    publish(publisher, letter("waits"))
    assert bodies(take(consumer, 1)) == ["waits"]


def test_a_consumer_that_works_is_never_taken_for_a_forgotten_one(publisher, consumer, caplog):
    publish(publisher, *(letter(str(n)) for n in range(600)))  # more than it fetches: some wait in the queue
    channel = take(consumer, 1)[0].channel
    threading.Event().wait(3 * ASK_SECONDS)
    assert consumer._channel is channel
    assert "no consumer" not in caplog.text


def test_a_message_whose_properties_are_odd_is_delivered_like_any_other(broker, consumer):
    broker.put(QUEUE, b"1", message_id=b"\xff\xfe", headers={"deep": {"list": [1, None, True, {"x": b"\xff"}]}})
    broker.put(QUEUE, b"2")
    assert bodies(take(consumer, 2)) == ["1", "2"]


def test_connections_that_are_closed_while_publishing_lose_nothing_that_was_confirmed(broker, publisher):
    wait_until(lambda: works(publisher.check))
    confirmed, on_lost, enough = [], [], threading.Event()

    def work() -> None:
        round_ = 0
        while not (enough.is_set() and on_lost and confirmed[-1][0] > on_lost[-1]):
            round_ += 1
            letters = [letter(f"{round_}-{n}") for n in range(20)]
            try:
                troubles = publisher.publish(letters, timeout=60)
            except BrokerDown:
                on_lost.append(round_)
                time.sleep(0.01)
                continue
            confirmed.extend((round_, o.message_id) for o, why in zip(letters, troubles, strict=True) if not why)
            if any(troubles):
                on_lost.append(round_)

    thread = threading.Thread(target=work)
    thread.start()
    wait_until(lambda: len(confirmed) > 100)
    # Again, as a batch may have been handed over and not begun: the next connection publishes it, and nothing was lost.
    wait_until(lambda: on_lost or broker.close_connections())
    enough.set()
    thread.join(60)
    assert not thread.is_alive()
    arrived = {properties.message_id for properties, _ in broker.take(QUEUE, len(confirmed))}
    while broker.depth(QUEUE):  # what arrived without its confirmation
        arrived |= {properties.message_id for properties, _ in broker.take(QUEUE, broker.depth(QUEUE))}
    assert {message_id for _, message_id in confirmed} <= arrived


def test_while_rabbitmq_takes_no_messages_it_is_said_and_nothing_is_lost(broker, publisher):
    publish(publisher, letter("before"))
    with broker.alarm():
        assert publisher.publish([letter("meanwhile")], timeout=1) == ["not confirmed in time"]
        wait_until(lambda: fails(publisher.check, "RabbitMQ takes no messages: low on memory"))
        with pytest.raises(BrokerDown):
            publisher.publish([letter("refused")], timeout=60)
    assert publish(publisher, letter("after")) == [None]
    assert [body for _, body in broker.take(QUEUE, 3)] == [b"before", b"meanwhile", b"after"]


def test_publisher_and_consumer_come_back_when_the_broker_does(broker, publisher, consumer):
    publish(publisher, letter("before"))
    (taken,) = take(consumer, 1)
    broker.crash()
    wait_until(lambda: fails(publisher.check, "RabbitMQ cannot be reached"))
    wait_until(lambda: not works(consumer.check))
    assert not consumer.holds(taken)
    broker.start()
    assert publish(publisher, letter("after")) == [None]
    assert sorted(bodies(take_and_ack(consumer, 2))) == ["after", "before"]
