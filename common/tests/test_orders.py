"""The order: its states, its shape, and adding up its lines."""

import re

import pytest
from campus.ids import new_order_id
from campus.orders import (
    FAILED,
    FINAL,
    NEXT,
    NOTIFIED,
    PLACED,
    RESERVED,
    STATUSES,
    UNKNOWN,
    IllegalTransition,
    Order,
    add_up,
    utc_now,
)
from hypothesis import given
from hypothesis import strategies as st

BURGER = [{"sku": "burger", "qty": 1}]
ALLOWED = {
    (PLACED, RESERVED),
    (PLACED, FAILED),
    (PLACED, UNKNOWN),
    (UNKNOWN, RESERVED),
    (UNKNOWN, FAILED),
    (RESERVED, NOTIFIED),
}
WAYS = {PLACED: [], UNKNOWN: [UNKNOWN], RESERVED: [RESERVED], NOTIFIED: [RESERVED, NOTIFIED], FAILED: [FAILED]}


def in_state(status: str) -> Order:
    order = Order.place(user_id="u1", items=BURGER, request_id="r1")
    for step in WAYS[status]:
        order = order.advance(step)
    return order


@pytest.mark.parametrize("after", STATUSES)
@pytest.mark.parametrize("before", STATUSES)
def test_only_the_allowed_transitions_happen(before, after):
    order = in_state(before)
    if (before, after) in ALLOWED:
        assert order.advance(after).status == after
    else:
        with pytest.raises(IllegalTransition, match=f"is {before} and cannot become {after}"):
            order.advance(after)


def test_final_states_are_those_without_a_next():
    assert {status for status, following in NEXT.items() if not following} == FINAL


def test_a_new_order_is_placed_now():
    order = Order.place(user_id="u1", items=BURGER, request_id="r1")
    assert (order.status, order.user_id, order.items, order.request_id) == (PLACED, "u1", BURGER, "r1")
    assert [step["status"] for step in order.timeline] == [PLACED]


def test_advancing_stamps_a_step_and_leaves_the_earlier_order_alone():
    placed = Order.place(user_id="u1", items=BURGER)
    reserved = placed.advance(RESERVED, at="2026-01-31T12:00:00.000001Z")
    assert reserved.timeline == [*placed.timeline, {"status": RESERVED, "at": "2026-01-31T12:00:00.000001Z"}]
    assert (placed.status, len(placed.timeline)) == (PLACED, 1)


def test_a_step_without_a_time_is_stamped_now_and_in_order():
    order = in_state(NOTIFIED)
    times = [step["at"] for step in order.timeline]
    assert times == sorted(times)
    assert len(times) == 3


def test_the_reason_is_of_the_present_state_only():
    unknown = in_state(PLACED).advance(UNKNOWN, reason="inventory_timeout")
    assert unknown.reason == "inventory_timeout"
    assert unknown.advance(RESERVED).reason is None


def test_shape_on_the_wire():
    order = in_state(PLACED)
    assert order.as_dict() == {
        "order_id": order.order_id,
        "user_id": "u1",
        "items": BURGER,
        "status": "placed",
        "timeline": order.timeline,
    }
    assert order.advance(FAILED, reason="unknown_sku").as_dict()["reason"] == "unknown_sku"


def test_ids_are_unique_and_sort_by_time():
    ids = [new_order_id() for _ in range(2000)]
    assert ids == sorted(set(ids))


def test_times_are_utc_with_microseconds():
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", utc_now())


LINES = st.lists(st.fixed_dictionaries({"sku": st.sampled_from("abcde"), "qty": st.integers(1, 100)}))


@given(LINES)
def test_adding_up_keeps_every_piece_and_names_each_sku_once(lines):
    added = add_up(lines)
    skus = [line["sku"] for line in added]
    assert skus == sorted({line["sku"] for line in lines})
    for line in added:
        assert line["qty"] == sum(each["qty"] for each in lines if each["sku"] == line["sku"])


@given(LINES)
def test_adding_up_twice_changes_nothing(lines):
    assert add_up(add_up(lines)) == add_up(lines)
