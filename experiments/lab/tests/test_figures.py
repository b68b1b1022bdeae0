"""The figures: quantiles, what a load's clients saw, what became of the orders."""

import pytest
from hand_made import Raw, good, items
from lab.analysis import latency


def test_quantiles_come_from_all_samples_with_three_digits():
    times = [n / 1000 for n in range(1, 1001)]
    assert latency.quantiles(times, [0.5, 0.99]) == pytest.approx([0.5, 0.99], rel=0.001)
    assert latency.figures(times)["max"] == 1.0


def test_no_quantile_is_larger_than_the_largest():
    assert latency.figures([0.123456]) == dict.fromkeys(("p50", "p95", "p99", "max"), 0.123456)


def test_nothing_has_no_quantiles():
    assert latency.figures([]) == {"p50": None, "p95": None, "p99": None, "max": None}


def test_each_fate_is_counted_apart():
    of = latency.of_phases(good().run())["a"]
    assert (of["sent"], of["ok"], of["fail"], of["info"], of["dropped"]) == (5, 1, 2, 2, 0)
    assert {kind: e["count"] for kind, e in of["errors"].items()} == {"409": 1, "504": 1, "refused": 1, "reset": 1}
    assert of["errors"]["504"]["share"] == 0.2
    assert of["errors"]["504"]["p50"] == pytest.approx(0.5, rel=0.001)
    assert of["max"] == pytest.approx(0.1, rel=0.001)  # of the one that was done; the slow 504 is not mixed in


def test_an_order_without_an_end_is_unknown():
    raw = Raw()
    raw.load("a", 1.0, 2.0)
    raw.sends("a-0", 1.0, items())
    of = latency.of_phases(raw.run())["a"]
    assert (of["ok"], of["info"], of["achieved"], of["p50"]) == (0, 1, 0.0, None)


def test_latency_counts_from_when_it_was_meant_to_be_sent():
    raw = Raw()
    raw.load("a", 1.0, 3.0)
    raw.sends("a-0", 2.0, items(), late=0.5)
    raw.sees("a-0", 2.1, "201", "o0")
    raw.sends("a-1", 2.0, items(), late=0.005)
    raw.sees("a-1", 2.1, "201", "o1")
    raw.add("dropped", 2.2, op="a-2", phase="a", intended=2.2)
    of = latency.of_phases(raw.run())["a"]
    assert of["max"] == pytest.approx(0.6, rel=0.001)
    assert of["lateness_p99"] == pytest.approx(0.5, rel=0.001)
    assert (of["sent"], of["late"], of["dropped"]) == (2, 1, 1)
    assert of["achieved"] == pytest.approx(2 / 1.1, abs=0.01)  # until the last one was done


def test_completion_is_placed_to_notified():
    of = latency.of_orders(good().run())
    assert of["by_status"] == {"failed": 2, "notified": 2}
    assert of["failed_for"] == {"injected": 2}
    assert of["completion"]["max"] == pytest.approx(0.49, rel=0.001)


def test_seconds_of_a_run():
    rows = latency.per_second(good().run())
    assert [row["second"] for row in rows] == [0, 1, 2, 3, 4, 5]
    assert [row["sent"] for row in rows] == [0, 1, 1, 1, 1, 1]
    assert [row["ok"] for row in rows] == [0, 1, 0, 0, 0, 0]
    assert [row["notified"] for row in rows] == [0, 1, 0, 0, 1, 0]
    assert {row["waiting"] for row in rows} == {0}


def test_orders_that_wait_are_counted_until_they_end():
    raw = Raw()
    raw.sends("a-0", 0.5, items())
    raw.sends("a-1", 1.5, items())
    raw.sees("a-0", 2.5, "201", "o0")
    assert [row["waiting"] for row in latency.per_second(raw.run())] == [1, 2, 1]


def test_an_empty_run_has_no_seconds():
    assert latency.per_second(Raw().run()) == []
