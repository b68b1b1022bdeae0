"""Which orders' messages are recorded, and in what form."""

import json
import logging

import pytest
from campus import logs, trace


@pytest.fixture
def recorded(monkeypatch, caplog):
    """A function that returns the lines of the log so far; three orders of each load are followed."""
    caplog.set_level(logging.INFO, "campus")
    monkeypatch.setattr(logging.getLogger("campus"), "propagate", True)
    monkeypatch.setattr(trace, "on", True)
    monkeypatch.setattr(trace, "_trace", trace.Trace(3))

    def lines() -> list[dict]:
        form = logs.JsonLines("order")
        return [json.loads(form.format(record)) for record in caplog.records if record.getMessage() == "trace"]

    return lines


def test_the_first_orders_are_followed_to_their_end(recorded):
    for n in range(5):
        trace.note("commit", f"o{n}", "placed")
    for n in range(5):
        trace.note("ack", f"o{n}", to="rabbitmq")
    assert [(line["trace"], line["order_id"]) for line in recorded()] == [
        ("commit", "o0"), ("commit", "o1"), ("commit", "o2"), ("ack", "o0"), ("ack", "o1"), ("ack", "o2"),
    ]  # fmt: skip


def test_after_a_second_without_new_orders_the_first_are_followed_again(recorded, monkeypatch):
    now = [100.0]
    monkeypatch.setattr(trace.time, "monotonic", lambda: now[0])
    for n in range(8):
        now[0] += 2.0 if n == 4 else 0.5
        trace.note("commit", f"o{n}")
    assert [line["order_id"] for line in recorded()] == ["o0", "o1", "o2", "o4", "o5", "o6"]


def test_an_order_that_a_fault_touches_is_followed_from_there(recorded):
    for n in range(4):
        trace.note("commit", f"o{n}")
    trace.note("fault", "o9", "it failed", touched=True)
    trace.note("commit", "o9")
    trace.request("o8", "POST /order", 504, 0.2)
    trace.request("o7", "POST /order", 201, 1.5)
    trace.request("o6", "POST /order", 201, 0.2)
    assert [(line["order_id"], line.get("touched", False)) for line in recorded()][3:] == [
        ("o9", True), ("o9", False), ("o8", True), ("o7", True),
    ]  # fmt: skip


def test_a_process_follows_a_bounded_number(recorded):
    for n in range(trace.MAX_FOLLOWED + 50):
        trace.note("fault", f"o{n}", touched=True)
    assert len(recorded()) == trace.MAX_FOLLOWED


def test_a_line_says_when_and_what(recorded):
    trace.note("message", "o1", "order.placed", to="rabbitmq", event_id="e1")
    (line,) = recorded()
    assert line.pop("monotonic_ns") > 0
    wanted = {"trace": "message", "order_id": "o1", "what": "order.placed", "to": "rabbitmq", "event_id": "e1"}
    assert line.items() >= (wanted | {"service": "order"}).items()


def test_the_order_of_a_message(recorded):
    assert trace.order_of(b'{"event_id":"e","order_id":"o1","data":{}}') == "o1"
    assert trace.order_of(b"\xffnothing") is None
    trace.each("ack", [trace.order_of(b"\xffnothing"), "o1"])
    assert [line["order_id"] for line in recorded()] == ["o1"]


def test_it_is_off_by_itself(caplog):
    caplog.set_level(logging.INFO, "campus")
    assert not trace.on
    trace.note("commit", "o1", touched=True)
    trace.each("commit", iter(["o1"]))
    assert trace.order_of(b'{"order_id":"o1"}') is None
    assert not [record for record in caplog.records if record.getMessage() == "trace"]
