"""Runs over a log: lag from its samples, reports of analytics and their comparison, and what the report shows."""

import csv
import math

import pytest
from campus.metrics import metrics
from hand_made import Raw, asked, refused, streamed
from lab.analysis import reports
from lab.analysis.lag import LagSeries
from lab.checker.invariants import check
from lab.report import run as run_report
from lab.verdict import FAIL, PASS, UNKNOWN


def last_verdict(raw: Raw) -> tuple[str, str]:
    finding = check(raw.run())[-1]
    return finding.id, finding.verdict


def test_a_sample_stands_until_the_next_of_its_partition():
    series = LagSeries(streamed().run(), "inventory-consumer-group")
    assert series.partitions == [("order-events", 0), ("order-events", 1)]
    assert [series.at(second) for second in (0.5, 2.9, 3.0, 4.5, 6.0, 7.0)] == [0, 0, 2, 3, 4, 0]
    assert series.highest() == (4, 5.0)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ('run.lag("inventory").at(6)', 4),
        ('run.lag("inventory").of_partition(1, 6)', 1),
        ('run.lag("inventory").peak()', 4),
        ('run.lag("inventory").at_end', 0),
        ('run.lag("inventory").growth(1, 5)', 1.0),
        ('run.owned_partitions("late", "inventory")', 1),
        ('run.report("lost")["totalInventoryEvents"]', 4),
        ('run.report_differences("before replay", "after replay")', 0),
        ('run.report_differences("before replay", "lost")', 4),  # orders, verdicts, failure rate, the minute
    ],
)
def test_what_a_prediction_may_ask(question, expected):
    assert asked(streamed(), question) == pytest.approx(expected)


@pytest.mark.parametrize(
    "question",
    [
        'run.lag("analytics").at(6)',
        'run.owned_partitions("early", "inventory")',
        'run.report_differences("nosuch", "lost")',
    ],
)
def test_what_was_not_seen_is_nan(question):
    assert math.isnan(asked(streamed(), question))


def test_dead_letters_are_not_known_without_the_broker():
    raw = streamed()
    assert asked(raw, "run.dead_letters('order-events')") == 0
    raw.state.append({"what": "missing", "service": "kafka", "why": "it does not answer"})
    assert math.isnan(asked(raw, "run.dead_letters('order-events')"))


def test_the_orders_give_the_report_that_analytics_should_give():
    raw = streamed()
    counted = reports.of_orders(line for line in raw.state if line["what"] == "order")
    assert counted["digest"] == metrics({"2026-01-31T12:00": 5}, 5, 1, now=7)["digest"]


def test_a_run_in_which_all_reports_agree_keeps_the_eighth_invariant():
    assert last_verdict(streamed()) == ("INV-8", PASS)


def change_state(**figures):
    return lambda raw: raw.state[-1].update(figures)


def other_after_replay(raw):
    noted = next(e for e in raw.events if e.get("name") == "after replay")
    noted["report"] = metrics({"2026-01-31T12:00": 4}, 5, 1, now=0)


def lost_an_order(raw):
    raw.remove("order", "o3")


@pytest.mark.promise("INV-8")
@pytest.mark.parametrize(
    "change",
    [
        change_state(totalOrdersSeen=6),
        change_state(inventoryFailed=0),
        change_state(ordersPerMinuteBucket={"2026-01-31T12:01": 5}),
        change_state(digest="another"),
        other_after_replay,
        lost_an_order,
    ],
)
def test_numbers_that_differ_break_the_eighth_invariant(change):
    raw = streamed()
    change(raw)
    assert last_verdict(raw) == ("INV-8", FAIL)


@pytest.mark.parametrize("kind", ["409", "504"])
def test_an_order_that_the_order_service_refused_itself_is_not_looked_for_in_the_log(kind):
    """Its client may not know, as under an Idempotency-Key: the first try was answered 500, the second refused."""
    raw = streamed()
    refused(raw, kind)
    assert last_verdict(raw) == ("INV-8", PASS)


TWICE = {"what": "log", "topic": "inventory-events", "records": 6, "repeated": {"o3": ["t/0/1", "t/0/5"]}}


@pytest.mark.promise("LOG-1")
def test_a_result_that_is_in_the_log_twice_is_seen_unless_the_script_put_it_there():
    raw = streamed()
    raw.state.append(TWICE | {"repeated": {}})
    assert last_verdict(raw) == ("LOG-1", PASS)
    raw.state[-1] = TWICE
    assert last_verdict(raw) == ("LOG-1", FAIL)
    assert check(raw.run())[-1].violations[0]["wrong"] == "inventory-events has 2 results of it"
    raw.add("published", 3.0, name="again", queue="inventory-events", kind="…", message_id="t/0/5", body="")
    assert last_verdict(raw) == ("LOG-1", PASS)


def test_without_the_state_the_eighth_invariant_is_open():
    raw = streamed()
    raw.state.append({"what": "missing", "service": "order", "why": "it does not answer"})
    assert last_verdict(raw) == ("INV-8", UNKNOWN)


def test_without_analytics_there_are_seven_invariants():
    raw = streamed()
    raw.state.pop()
    assert last_verdict(raw) == ("INV-7", PASS)


def test_the_report_shows_lag_and_reports(tmp_path):
    folder = streamed().write(tmp_path)
    run_report.make(folder)
    text = (folder / "report.md").read_text()
    assert "| inventory-consumer-group | 4 | 5.0 s | 3 | 0 |" in text
    assert "`./lab lag` at 3.5 s: late" in text
    assert "| inventory-consumer-group | order-events | 1 | – | 12 | 2 | 1.5 | WARN |" in text
    assert "| figure | before replay | after replay | lost |" in text
    assert "| `totalInventoryEvents` | 5 | 5 | 4 |" in text
    rows = list(csv.DictReader((folder / "lag.csv").open()))
    group = "inventory-consumer-group"
    seen = [(row["at"], row[group], row[f"{group} order-events[0]"], row[f"{group} order-events[1]"]) for row in rows]
    assert seen == [
        ("1.0", "0", "0", "0"),
        ("3.0", "2", "2", "0"),
        ("4.0", "3", "2", "1"),
        ("5.0", "4", "3", "1"),
        ("7.0", "0", "0", "0"),
    ]
    assert "Lag of each group" in (folder / "plot.svg").read_text()
