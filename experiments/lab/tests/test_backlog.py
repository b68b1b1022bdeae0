"""Backlogs and what follows from them: from the timelines of orders that were accepted first and done later."""

import math

import pytest
from hand_made import Raw, accepted, asked
from lab.analysis.backlog import Backlog
from lab.checker import invariants
from lab.report import run as run_report
from lab.verdict import FAIL, PASS, UNKNOWN


def test_a_backlog_is_what_was_asked_and_not_yet_done():
    waiting = Backlog(accepted().run(), "inventory")
    assert [waiting.at(second) for second in (0.5, 1.05, 2.5, 5.1, 6.0, 9.0)] == [0, 0, 1, 4, 2, 0]
    assert waiting.peak() == 4
    assert (waiting.resumed(2.0), waiting.drained(2.0)) == (6.0, 7.0)
    assert (waiting.resumed(8.0), waiting.drained(8.0)) == (None, None)
    assert waiting.rate(1.0, 6.0) == 3 / 5


def test_a_backlog_of_nothing():
    waiting = Backlog(Raw().run(), "completion")
    assert (waiting.at(1.0), waiting.peak(), waiting.resumed(0.0), waiting.drained(0.0)) == (0, 0, None, None)


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("run.load('a').completed(0.01)", 0.2),
        ("run.load('a').completed(1)", 4.6),
        ("run.load('a').completed_rate", 0.57),
        ("run.load('a').percentile(0.5, 0, 2)", 0.02),
        ('run.backlog("inventory").at(5.1)', 4),
        ('run.backlog("notification").at(6.5)', 2),
        ('run.backlog("completion").at(5.1)', 4),
        ('run.backlog("inventory").peak()', 4),
        ('run.backlog("inventory").growth(1.5, 4.5)', 1.0),
        ('run.backlog("inventory").rate(5, 7)', 2.0),
        ('run.backlog("inventory").resumed(2)', 6.0),
        ('run.backlog("inventory").drained(2)', 7.0),
        ('run.queue_peak("order-placed", 0, 10)', 3),
        ('run.queue_peak("outbox", 2, 3)', 1),
        ('run.published("bad")', 3),
        ('run.dead_letters("order-placed")', 3),
        ('run.dead_letters("order-status")', 0),
        ('run.dead_lettered_once("bad")', 1),  # one lies there twice, one without a reason
        ('run.rows_changed("one", "two")', 2),
        ('run.rows_changed("one", "one")', 0),
        ('run.handled("order-placed", "one", "two")', 5),
    ],
)
def test_what_a_prediction_may_ask(question, expected):
    assert asked(accepted(), question) == pytest.approx(expected, rel=0.002)


@pytest.mark.parametrize(
    "question",
    [
        'run.backlog("inventory").resumed(8)',
        'run.backlog("inventory").drained(8)',
        'run.backlog("inventory").rate(1, run.backlog("inventory").drained(8))',
        'run.queue_peak("order-placed", 20, 30)',
        'run.queue_peak("nothing", 0, 10)',
        'run.rows_changed("one", "three")',
        'run.backlog("inventory").growth(1, 1)',
        "run.load('a').percentile(0.5, 20, 30)",
    ],
)
def test_a_figure_that_is_not_there_is_nan(question):
    assert math.isnan(asked(accepted(), question))


@pytest.mark.parametrize("question", ['run.dead_letters("order-placed")', 'run.dead_lettered_once("bad")'])
def test_without_the_broker_nobody_knows_what_is_dead(question):
    raw = accepted()
    raw.state.append({"what": "missing", "service": "rabbitmq", "why": "it does not answer"})
    assert math.isnan(asked(raw, question))
    assert {f.verdict for f in invariants.check(raw.run())} == {UNKNOWN}


def test_an_accepted_order_may_fail_and_a_reserved_one_may_not():
    assert {f.verdict for f in invariants.check(accepted().run())} == {PASS}
    raw = accepted()
    next(e for e in raw.events if e["type"] == "ok" and e["op"] == "a-4")["kind"] = "201"
    assert [f.id for f in invariants.check(raw.run()) if f.verdict == FAIL] == ["INV-1"]


def test_accepted_and_never_finished_is_not_decided():
    raw = accepted()
    for order in raw.state:
        if order["what"] == "order":
            order["timeline"], order["status"] = order["timeline"][:1], "placed"
    assert {(f.verdict, f.sentence) for f in invariants.check(raw.run())} == {
        (UNKNOWN, "Cannot tell: no order was completed.")
    }


def test_one_accepted_order_that_is_lost_is_a_broken_promise():
    raw = accepted()
    for what in ("order", "reservation", "notification"):
        raw.remove(what, "o1")
    raw.moves(+1)
    assert "INV-1" in [f.id for f in invariants.check(raw.run()) if f.verdict == FAIL]


def test_the_report_sets_accepted_beside_completed(tmp_path):
    run_report.make(accepted().write(tmp_path))
    text = (tmp_path / "report.md").read_text()
    assert "| load | how | sent | accepted | refused | unknown | accepted/s |" in text
    assert "| a | 20 ms | 20 ms | 4 | 1 | 0.6 | 4.00 s | 4.60 s | 4.60 s | 4.60 s | 3.99 s | 4.59 s |" in text
    assert "| order-placed | 3 | 4.0 s |" in text
    assert "| orders for inventory | 2 | 3.5 s |" in text
    assert "| bad | order-placed | empty | 1 | 1 | no JSON |" in text
    assert "`completions.csv`, `depth.csv` and the plot" in text


def test_depths_leave_out_what_nobody_could_say(tmp_path):
    run_report.make(accepted().write(tmp_path))
    lines = (tmp_path / "depth.csv").read_text().splitlines()
    assert lines == [
        "at,orders for inventory,orders for notification,order-placed,outbox",
        "2.5,1,0,0,1",
        "3.5,2,0,,2",
        "4.0,2,0,3,0",
    ]


def test_a_synchronous_run_has_none_of_it(tmp_path):
    from hand_made import good

    summary = run_report.make(good().write(tmp_path))
    assert "completion" not in summary["phases"]["a"]
    assert not (tmp_path / "depth.csv").exists()
    assert "Accepted and completed" not in (tmp_path / "report.md").read_text()
