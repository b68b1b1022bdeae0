"""The rules of request bodies: a valid order is read and added up, anything else is a 400 that says why."""

import string

import pytest
from campus.problems import Problem
from campus.schemas import (
    MAX_LINES,
    ReleaseSchema,
    ReserveSchema,
    SendSchema,
    check,
    read_order,
    read_stock_change,
)
from hypothesis import given, settings
from hypothesis import strategies as st

NAMES = st.text(string.ascii_letters + string.digits + " -_.é漢🍔", min_size=1, max_size=64)
QUANTITIES = st.integers(1, 100)
LINES = st.lists(st.fixed_dictionaries({"sku": NAMES, "qty": QUANTITIES}), min_size=1, max_size=MAX_LINES)
ORDERS = st.fixed_dictionaries({"user_id": NAMES, "items": LINES})
QTY_KEYS = st.sampled_from(["qty", "quantity"])

LEAVES = st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=70)
VALUES = st.recursive(
    LEAVES, lambda inner: st.lists(inner, max_size=5) | st.dictionaries(st.text(max_size=8), inner, max_size=5)
)
# Values that look like orders get further into the rules than arbitrary ones.
ALMOST_LINES = st.dictionaries(st.sampled_from(["sku", "qty", "extra"]), LEAVES | NAMES | QUANTITIES)
ALMOST_ORDERS = st.dictionaries(
    st.sampled_from(["user_id", "items", "item", "qty", "quantity", "extra"]),
    VALUES | NAMES | QUANTITIES | st.lists(ALMOST_LINES | st.just({"sku": "a", "qty": 1}), max_size=52),
)


def refusal(read, body) -> list[str]:
    """Return the fields that a body is refused for."""
    with pytest.raises(Problem) as caught:
        read(body)
    assert caught.value.status == 400
    errors = caught.value.members["errors"]
    assert errors
    assert all(error["why"] for error in errors)
    return [error["field"] for error in errors]


def outcome(read, body):
    """Return what a body is read as, or the Problem that refuses it."""
    try:
        return read(body)
    except Problem as problem:
        return problem


def is_a_refusal(result) -> bool:
    """Whether this is a 400 Problem that says why."""
    errors = result.members["errors"] if isinstance(result, Problem) and result.status == 400 else []
    return bool(errors) and all(set(error) == {"field", "why"} for error in errors)


@given(ORDERS)
def test_any_valid_order_is_accepted_and_added_up(body):
    user_id, items = read_order(body)
    assert user_id == body["user_id"]
    assert sum(line["qty"] for line in items) == sum(line["qty"] for line in body["items"])
    assert [line["sku"] for line in items] == sorted({line["sku"] for line in body["items"]})


@given(NAMES, QTY_KEYS, QUANTITIES)
def test_any_valid_short_form_is_one_line(sku, key, qty):
    assert read_order({"item": sku, key: qty}) == ("guest", [{"sku": sku, "qty": qty}])
    assert read_order({"item": sku, key: qty, "user_id": "u1"}) == ("u1", [{"sku": sku, "qty": qty}])


@settings(max_examples=400)
@given(VALUES | ALMOST_ORDERS)
def test_any_value_is_a_valid_order_or_a_400_that_says_why(body):
    result = outcome(read_order, body)
    if not is_a_refusal(result):
        user_id, items = result
        assert 1 <= len(user_id) <= 64
        assert 1 <= len(items) <= MAX_LINES
        assert all(type(line["qty"]) is int and 1 <= line["qty"] <= 5000 for line in items)
        assert all(1 <= len(line["sku"]) <= 64 for line in items)


@given(VALUES)
@pytest.mark.parametrize("form", [ReserveSchema, ReleaseSchema, SendSchema])
def test_any_value_is_that_form_or_a_400(form, body):
    result = outcome(lambda value: check(form, value), body)
    assert isinstance(result, form) or is_a_refusal(result)


def test_every_faulty_field_is_named_with_its_path():
    body = {"user_id": "", "items": [{"sku": "a", "qty": 1}, {"sku": "b", "qty": 0}], "colour": "red"}
    assert refusal(read_order, body) == ["user_id", "items[1].qty", "colour"]
    assert refusal(read_order, []) == ["(body)"]


@pytest.mark.parametrize("qty", [0, 101, -1, 1.0, 1.5, "1", True, None, [1], 10**400, float("nan")])
def test_a_quantity_is_an_integer_from_1_to_100(qty):
    assert refusal(read_order, {"item": "burger", "qty": qty}) == ["qty"]


@pytest.mark.parametrize("qty", [1, 100])
def test_the_limits_of_a_quantity_are_allowed(qty):
    assert read_order({"item": "burger", "qty": qty})[1][0]["qty"] == qty


@pytest.mark.parametrize("sku", ["", "x" * 65, 1, None, True, ["a"], "a\x00b", "a\nb", "\u200b", "\ud800"])
def test_a_sku_is_1_to_64_printable_characters(sku):
    assert refusal(read_order, {"user_id": "u1", "items": [{"sku": sku, "qty": 1}]}) == ["items[0].sku"]


def test_at_most_50_lines():
    line = {"sku": "a", "qty": 100}
    assert read_order({"user_id": "u1", "items": [line] * 50}) == ("u1", [{"sku": "a", "qty": 5000}])
    assert refusal(read_order, {"user_id": "u1", "items": [line] * 51}) == ["items"]
    assert refusal(read_order, {"user_id": "u1", "items": []}) == ["items"]


def test_the_two_forms_do_not_mix():
    assert "item" in refusal(read_order, {"user_id": "u1", "item": "a", "items": [{"sku": "a", "qty": 1}]})
    assert refusal(read_order, {"item": "a", "qty": 1, "quantity": 1}) == ["quantity"]


def test_a_reservation_may_hold_what_lines_add_up_to():
    body = {"order_id": "o1", "items": [{"sku": "a", "qty": 5000}]}
    assert check(ReserveSchema, body).items[0].qty == 5000
    body["items"][0]["qty"] = 5001
    assert refusal(lambda b: check(ReserveSchema, b), body) == ["items[0].qty"]


@pytest.mark.parametrize("change", [{"set": 0}, {"set": 5}, {"add": 0}, {"add": 1_000_000_000}])
def test_a_stock_change_sets_or_adds(change):
    form = read_stock_change({"sku": "burger", **change})
    assert {"set": form.set} == change or {"add": form.add} == change


@pytest.mark.parametrize(
    "change", [{}, {"set": 1, "add": 1}, {"set": -1}, {"add": 1.0}, {"add": True}, {"set": "1"}, {"put": 1}]
)
def test_a_bad_stock_change_is_refused(change):
    assert refusal(read_stock_change, {"sku": "burger", **change})
