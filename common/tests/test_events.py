"""The envelope: what is told comes back the same, and what is no message of ours is refused with its reason."""

import contextlib
import json

import pytest
from campus.events import (
    INVENTORY_FAILED,
    INVENTORY_RESERVED,
    NOTIFICATION_SENT,
    ORDER_PLACED,
    Event,
    InvalidEvent,
    new_event,
    parse,
)
from hypothesis import given
from hypothesis import strategies as st

AT = "2026-01-31T12:00:00.000001Z"
LINE = {"sku": "burger", "qty": 1}
DATA = {
    ORDER_PLACED: {"user_id": "u1", "items": [LINE]},
    INVENTORY_RESERVED: {"user_id": "u1", "items": [LINE]},
    INVENTORY_FAILED: {"reason": "unknown_sku"},
    NOTIFICATION_SENT: {"user_id": "u1"},
}
GOOD = json.loads(new_event(ORDER_PLACED, "o1", DATA[ORDER_PLACED], request_id="r1", at=AT).encode())


def without(field: str) -> dict:
    return {key: value for key, value in GOOD.items() if key != field}


def ordered(**data) -> dict:
    return GOOD | {"data": GOOD["data"] | data}


NO_JSON = {
    "empty": b"",
    "half a message": json.dumps(GOOD).encode()[:60],
    "single quotes": b"{'event_id': 'e1'}",
    "two values": b"{} {}",
    "not UTF-8": b'{"event_id": "\xff"}',
    "UTF-16": json.dumps(GOOD).encode("utf-16"),
    "a lone surrogate": b'{"event_id": "\\ud800"}',
    "nested too deep": b"[" * 9000,
    "a picture": b"\x89PNG\r\n\x1a\n\x00\x00",
}
# JSON that breaks a rule, and the field that the reason names.
RULES = [
    (None, "(body)"),
    (1, "(body)"),
    ("OrderPlaced", "(body)"),
    ([GOOD], "(body)"),
    ({}, "(body)"),
    (without("event_type"), "(body)"),  # which names `event_type`: the other rules depend on it
    *((without(field), field) for field in GOOD if field not in ("event_type", "request_id")),
    (GOOD | {"event_id": 7}, "event_id"),
    (GOOD | {"event_id": ""}, "event_id"),
    (GOOD | {"event_type": "OrderEaten"}, "(body)"),
    (GOOD | {"event_type": None}, "(body)"),
    (GOOD | {"schema_version": 2}, "schema_version"),
    (GOOD | {"schema_version": "1"}, "schema_version"),
    (GOOD | {"schema_version": float("nan")}, "schema_version"),
    (GOOD | {"occurred_at": "yesterday"}, "occurred_at"),
    (GOOD | {"occurred_at": 1769860800}, "occurred_at"),
    (GOOD | {"occurred_at": "2026-01-31T12:00:00Z"}, "occurred_at"),
    (GOOD | {"occurred_at": "2026-99-31T12:00:00.000001Z"}, "occurred_at"),
    (GOOD | {"occurred_at": "٢026-01-31T12:00:00.000001Z"}, "occurred_at"),
    (GOOD | {"order_id": ""}, "order_id"),
    (GOOD | {"order_id": "o" * 65}, "order_id"),
    (GOOD | {"order_id": "o\x00"}, "order_id"),
    (GOOD | {"order_id": ["o1"]}, "order_id"),
    (GOOD | {"request_id": 7}, "request_id"),
    (GOOD | {"request_id": "r" * 129}, "request_id"),
    (GOOD | {"colour": "red"}, "colour"),
    (GOOD | {"data": None}, "data"),
    (GOOD | {"data": [LINE]}, "data"),
    (GOOD | {"data": {}}, "user_id"),
    (ordered(user_id=""), "user_id"),
    (ordered(items=[]), "items"),
    (ordered(items=LINE), "items"),
    (ordered(items=[LINE] * 51), "items"),
    (ordered(items=[LINE, "fries"]), "items[1]"),
    (ordered(items=[LINE | {"qty": 0}]), "items[0].qty"),
    (ordered(items=[LINE | {"qty": "1"}]), "items[0].qty"),
    (ordered(items=[LINE | {"qty": True}]), "items[0].qty"),
    (ordered(items=[LINE | {"qty": 10**30}]), "items[0].qty"),
    (ordered(items=[LINE | {"sku": None}]), "items[0].sku"),
    (ordered(items=[LINE | {"price": 1}]), "items[0].price"),
    (ordered(tip=1), "tip"),
]


@pytest.mark.parametrize("event_type", DATA)
def test_a_message_comes_back_as_it_was_told(event_type):
    event = new_event(event_type, "o1", DATA[event_type], request_id="r1", at=AT)
    assert parse(event.encode(), event_type) == event


def test_a_message_needs_no_request_and_occurs_now():
    event = new_event(NOTIFICATION_SENT, "o1", {"user_id": "ü"})
    assert parse(event.encode(), INVENTORY_FAILED, NOTIFICATION_SENT) == event


def test_the_same_order_and_type_give_the_same_event_id_and_no_other():
    ids = [new_event(kind, order, {}).event_id for kind in DATA for order in ("o1", "o2")]
    again = [new_event(kind, order, {"more": 1}, at=AT).event_id for kind in DATA for order in ("o1", "o2")]
    assert ids == again
    assert len(set(ids)) == 8


@pytest.mark.parametrize("what", NO_JSON)
def test_what_is_not_json_is_poison(what):
    with pytest.raises(InvalidEvent, match=r"^this is not JSON: ."):
        parse(NO_JSON[what], ORDER_PLACED)


def test_a_byte_order_mark_is_named():
    with pytest.raises(InvalidEvent, match=r"^this is not JSON: it begins with a byte order mark"):
        parse(b"\xef\xbb\xbf{}", ORDER_PLACED)


@pytest.mark.parametrize(("body", "field"), RULES, ids=[f"{f} {json.dumps(b)[-40:]}" for b, f in RULES])
def test_what_breaks_a_rule_is_poison_and_the_reason_names_the_field(body, field):
    with pytest.raises(InvalidEvent) as caught:
        parse(json.dumps(body).encode(), ORDER_PLACED)
    fields = [reason.partition(": ")[0] for reason in str(caught.value).split("; ")]
    assert field in [name.removeprefix("OrderPlaced.").removeprefix("data.") for name in fields]


def test_a_type_that_is_not_expected_here_is_poison():
    with pytest.raises(
        InvalidEvent, match="OrderPlaced is not expected here, but InventoryReserved or InventoryFailed"
    ):
        parse(json.dumps(GOOD).encode(), INVENTORY_RESERVED, INVENTORY_FAILED)


def test_each_type_has_rules_of_its_own():
    for event_type, data in ((INVENTORY_FAILED, {"user_id": "u1"}), (NOTIFICATION_SENT, {"reason": "x"})):
        with pytest.raises(InvalidEvent):
            parse(new_event(event_type, "o1", data).encode(), event_type)


def test_there_are_enough_kinds_of_poison():
    assert len(NO_JSON) + len(RULES) >= 40


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
SPOILT = st.dictionaries(st.sampled_from([*GOOD]) | st.text(max_size=5), JSON, max_size=3).map(lambda d: GOOD | d)


def read_or_refuse(body: bytes) -> Event | None:
    with contextlib.suppress(InvalidEvent):
        return parse(body, *DATA)
    return None


@pytest.mark.promise("poison")
@given(st.binary() | st.text().map(str.encode) | (JSON | SPOILT).map(lambda v: json.dumps(v).encode()))
def test_any_bytes_are_a_message_or_poison_and_nothing_else(body):
    message = read_or_refuse(body)
    if message is not None:
        assert parse(message.encode(), *DATA) == message
