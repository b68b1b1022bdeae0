"""Many orders in one request: what is read, what is produced, and what is said of those that Kafka did not take."""

from collections.abc import Iterable, Iterator
from types import SimpleNamespace

import pytest
from broker import producer as producers
from broker.producer import BrokerDown, Producer
from campus.events import Event
from campus.orders import Order, drawn
from campus.problems import Problem
from kafka.errors import KafkaTimeoutError
from producer_order.bulk import MAX_ORDERS, produce, read_bulk


class FakeProducer:
    """Takes every event up to `most`, knows nothing of that one, and takes no more after it."""

    def __init__(self, most: int = 1000) -> None:
        self.most, self.published = most, []

    def publish(self, events: Iterable[Event]) -> list[str | None]:
        outcomes: list[str | None] = []
        for event in events:
            self.published.append(event)
            outcomes.append("no answer" if len(self.published) == self.most else None)
            if outcomes[-1]:
                break
        return outcomes


class NoKafka:
    """Has no connection."""

    def publish(self, events: Iterable[Event]) -> list[str | None]:
        raise BrokerDown("down")


def test_a_count_and_a_seed_give_the_same_orders_again():
    first, again = (list(read_bulk({"count": 50, "seed": 7})) for _ in range(2))
    assert first == again
    assert first != list(read_bulk({"count": 50, "seed": 8}))
    assert len({user_id for user_id, _ in first}) == 50


def test_the_orders_of_a_list_may_have_either_form():
    body = [{"item": "taco", "qty": 2}, {"user_id": "u1", "items": [{"sku": "soda", "qty": 1}]}]
    assert list(read_bulk(body)) == [("guest", [{"sku": "taco", "qty": 2}]), ("u1", [{"sku": "soda", "qty": 1}])]


@pytest.mark.parametrize("quantity", ["qty", "quantity"])
def test_a_count_and_an_item_give_so_many_orders_that_are_the_same(quantity):
    orders = list(read_bulk({"count": 3, "item": "burger", quantity: 2}))
    assert orders == [("guest", [{"sku": "burger", "qty": 2}])] * 3
    (order,) = read_bulk({"count": 1, "item": "soda", quantity: 1, "user_id": "u1"})
    assert order == ("u1", [{"sku": "soda", "qty": 1}])


@pytest.mark.parametrize(
    ("body", "fields"),
    [
        ({}, ["count"]),
        ({"item": "burger", "qty": 1}, ["count"]),
        ({"count": 2, "item": "burger"}, ["qty"]),
        ({"count": 2, "item": "burger", "qty": 0}, ["qty"]),
        ({"count": 2, "item": "burger", "qty": 1, "seed": 7}, ["seed"]),
        ({"count": 0}, ["count"]),
        ({"count": MAX_ORDERS + 1}, ["count"]),
        ({"count": "10"}, ["count"]),
        ({"count": 10, "seed": -1}, ["seed"]),
        ({"count": 10, "colour": "red"}, ["colour"]),
        ([], ["(body)"]),
        (7, ["(body)"]),
        ([{"item": "taco", "qty": 1}, {"item": "taco", "qty": 0}, {"user_id": "u"}], ["[1].qty", "[2].items"]),
    ],
)
def test_what_breaks_a_rule_is_refused_with_its_place(body, fields):
    with pytest.raises(Problem) as refused:
        read_bulk(body)
    assert refused.value.status == 400
    assert [error["field"] for error in refused.value.members["errors"]] == fields


def test_all_that_kafka_has_is_acknowledged():
    producer = FakeProducer()
    answer = produce(producer, drawn(20, 1), "r1")
    assert (answer["acknowledged"], answer["unknown"], answer["not_sent"]) == (20, [], 0)
    assert answer["order_ids"] == [event.order_id for event in producer.published]
    assert [event.data["user_id"] for event in producer.published] == [user_id for user_id, _ in drawn(20, 1)]
    assert {event.request_id for event in producer.published} == {"r1"}


def test_what_nobody_knows_is_named_and_what_was_not_sent_is_counted():
    answer = produce(FakeProducer(most=5), drawn(20, 1), "r1")
    assert (answer["acknowledged"], answer["not_sent"]) == (4, 15)
    assert answer["unknown"] == [answer["order_ids"][4]]


def test_without_kafka_all_are_refused():
    with pytest.raises(Problem) as refused:
        produce(NoKafka(), drawn(20, 1), "r1")
    assert (refused.value.status, refused.value.headers["Retry-After"]) == (503, "2")


class Future:
    """What a real producer returns: done, or failed."""

    def __init__(self, error: Exception | None = None) -> None:
        self.error = error

    def get(self, _: float) -> None:
        if self.error:
            raise self.error


def answering(*answers: Exception | None) -> Producer:
    """Return a producer whose connection gives these answers to what is sent, and no trouble after them."""
    made, left = Producer("127.0.0.1:1"), iter(answers)
    made._producer = SimpleNamespace(send=lambda *_, **__: Future(next(left, None)), close=lambda **_: None)
    return made


def events(count: int) -> Iterator[Event]:
    return (producers_event(n) for n in range(count))


def producers_event(n: int) -> Event:
    order = Order.place(user_id=f"u{n}", items=[{"sku": "taco", "qty": 1}])
    return Event("OrderPlaced", order.order_id, {}, "", f"e{n}")


def test_a_producer_takes_no_more_events_after_a_trouble(monkeypatch):
    monkeypatch.setattr(producers, "MAX_WAITING", 3)
    source = events(100)
    outcomes = answering(None, KafkaTimeoutError("late")).publish(source)
    assert [bool(outcome) for outcome in outcomes] == [False, True, False, False, False]
    assert len(list(source)) == 95


def test_a_producer_that_failed_is_let_go_of():
    made = answering(KafkaTimeoutError("late"))
    assert made.publish(events(1)) == ["KafkaTimeoutError: KafkaTimeoutError: late"]
    with pytest.raises(BrokerDown):
        made.check()


def test_a_producer_that_works_is_kept():
    made = answering()
    assert made.publish(events(10)) == [None] * 10
    made.check()
