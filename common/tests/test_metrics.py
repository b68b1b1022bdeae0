"""The report's shape, and when two reports have the same digest."""

import json

import pytest
from campus.metrics import digest, metrics, minute
from hypothesis import given
from hypothesis import strategies as st

MINUTES = {"2026-01-31T12:01": 2, "2026-01-31T12:00": 3}
COUNTS = st.tuples(
    st.dictionaries(st.sampled_from([f"2026-01-31T12:0{n}" for n in range(5)]), st.integers(1, 9)),
    st.integers(0, 50),
    st.integers(0, 50),
)


def test_a_report_says_what_was_counted():
    report = metrics(MINUTES, 4, 1, now=1769860800.9)
    assert report == {
        "totalOrdersSeen": 5,
        "totalInventoryEvents": 4,
        "inventoryFailed": 1,
        "failureRate": 0.25,
        "ordersPerMinuteBucket": {"2026-01-31T12:00": 3, "2026-01-31T12:01": 2},
        "generatedAtUnix": 1769860800,
        "digest": digest(report),
    }
    assert list(report["ordersPerMinuteBucket"]) == sorted(MINUTES)


def test_the_digest_is_that_of_the_canonical_json():
    # printf '{"failureRate":0.0,"inventoryFailed":0,"ordersPerMinuteBucket":{},…}' | sha256sum
    assert metrics({}, 0, 0, now=0)["digest"] == "056801987b81aa65a9f2ad83759e93a6b595dcdce222d4076613a61390bc66d8"


@pytest.mark.parametrize(("verdicts", "failed", "rate"), [(0, 0, 0.0), (3, 1, 0.333333), (3, 3, 1.0), (7, 0, 0.0)])
def test_the_failure_rate(verdicts, failed, rate):
    assert metrics({}, verdicts, failed, now=0)["failureRate"] == rate


def test_the_minute_of_an_instant():
    assert minute("2026-01-31T12:00:59.999999Z") == "2026-01-31T12:00"


def test_neither_the_time_of_the_report_nor_the_order_of_its_minutes_changes_the_digest():
    backwards = dict(reversed(MINUTES.items()))
    assert metrics(MINUTES, 4, 1, now=1)["digest"] == metrics(backwards, 4, 1, now=2)["digest"]


def test_a_report_that_was_sent_as_json_has_the_same_digest():
    report = metrics(MINUTES, 7, 1, now=1)
    assert digest(json.loads(json.dumps(report))) == report["digest"]


@given(COUNTS, COUNTS)
def test_other_counts_have_another_digest(one, other):
    digests = metrics(*one, now=1)["digest"], metrics(*other, now=1)["digest"]
    assert (digests[0] == digests[1]) == (one == other)
