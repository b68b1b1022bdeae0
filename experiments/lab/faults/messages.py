"""What scripts publish themselves: the same events again, and invalid messages."""

import json
import random
import time
from typing import Any

from campus.events import INVENTORY_RESERVED, ORDER_PLACED, new_event

from lab import client
from lab.brokers import base
from lab.brokers.message import BrokerMessage
from lab.errors import LabError
from lab.history.recorder import RunRecorder
from lab.services import Service, by_kind, services_of

PAUSE_SECONDS = 0.05
SHOWN = 120
Envelope = dict[str, Any]


def redeliver(recorder: RunRecorder, name: str, phase: str, *, count: int | None, shuffle: bool) -> int:
    """Publish `OrderPlaced` again for the orders of a load, with the same ids and bytes; return how many."""
    url = by_kind(services_of(recorder.head["part"]))["order"].url
    orders = [o for o in client.each_row(f"{url}/orders", "orders") if o["user_id"].startswith(f"{phase}-")]
    if shuffle:
        random.Random(name).shuffle(orders)
    return place_again(recorder, name, orders[:count])


def place_again(recorder: RunRecorder, name: str, orders: list[dict[str, Any]]) -> int:
    """Publish `OrderPlaced` of these orders once more, with the same ids and bytes; return how many."""
    broker = _broker(recorder)
    letters = [(ORDER_PLACED, _placed(order)) for order in orders]
    _publish(recorder, name, broker, base.client_for(broker).PLACED, letters)
    return len(letters)


def _placed(order: dict[str, Any]) -> BrokerMessage:
    data, at = {"user_id": order["user_id"], "items": order["items"]}, order["timeline"][0]["at"]
    told = new_event(ORDER_PLACED, order["order_id"], data, request_id=order.get("request_id"), at=at)
    return BrokerMessage(told.encode(), told.event_id, {}, key=told.order_id.encode())


def poison(recorder: RunRecorder, name: str, queue: str) -> int:
    """Publish each kind of malformed message into a queue, spread out among good ones, and return how many."""
    broker = _broker(recorder)
    reserved = queue == base.client_for(broker).RESERVED
    expected, wrong = (INVENTORY_RESERVED, ORDER_PLACED) if reserved else (ORDER_PLACED, INVENTORY_RESERVED)
    letters = [
        (kind, BrokerMessage(body, f"{name}-{queue}-{n}", {}))
        for n, (kind, body) in enumerate(poisons(expected, wrong).items())
    ]
    _publish(recorder, name, broker, queue, letters, pause=PAUSE_SECONDS)
    return len(letters)


def poisons(expected: str, wrong: str) -> dict[str, bytes]:
    """Return a body for each kind of malformed message, in a queue of `expected` events."""
    placed = {"user_id": "nobody", "items": [{"sku": "burger", "qty": 1}]}
    good = json.loads(new_event(expected, "poison", placed).encode())

    data = good["data"]

    def with_line(**values: Any) -> Envelope:
        return {"data": data | {"items": [data["items"][0] | values]}}

    raw = {
        "not JSON": b"burger please",
        "empty": b"",
        "cut off": json.dumps(good).encode()[:-20],
        "not UTF-8": b'{"event_id": "\xff\xfe"}',
        "a JSON array": b"[1, 2, 3]",
        "a number that is none": json.dumps(good).replace('"qty": 1', '"qty": NaN').encode(),
    }
    missing = {f"no {key}": {k: v for k, v in good.items() if k != key} for key in good if key != "request_id"}
    changes: dict[str, Envelope] = {
        "an unknown event type": {"event_type": "OrderEaten"},
        "the wrong event for this queue": {"event_type": wrong},
        "a later schema": {"schema_version": 2},
        "a time that is none": {"occurred_at": "yesterday"},
        "an unknown key": {"colour": "red"},
        "no items": {"data": data | {"items": []}},
        "0 of something": with_line(qty=0),
        "a quantity as text": with_line(qty="1"),
        "a sku of 10,000 letters": with_line(sku="x" * 10_000),
    }
    wrong_ones = missing | {kind: good | change for kind, change in changes.items()}
    return raw | {kind: json.dumps(envelope).encode() for kind, envelope in wrong_ones.items()}


def _broker(recorder: RunRecorder) -> Service:
    broker = base.broker_of(services_of(recorder.head["part"]))
    if broker is None:
        raise LabError("this part has no broker to publish to")
    return broker


def _publish(
    recorder: RunRecorder,
    name: str,
    service: Service,
    queue: str,
    letters: list[tuple[str, BrokerMessage]],
    pause: float = 0.0,
) -> None:
    """Publish each letter and note it: its kind, its id and how its body begins."""
    broker = base.client_for(service)
    with broker.channel(service) as on:
        for kind, letter in letters:
            [message_id] = broker.publish(on, queue, [letter])
            noted = {"name": name, "queue": queue, "kind": kind, "message_id": message_id}
            recorder.record(type="published", **noted, body=letter.body.decode(errors="replace")[:SHOWN])
            time.sleep(pause)
