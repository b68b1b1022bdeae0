"""Backlogs and what follows from them: from the timelines of orders that were accepted first and done later."""

import pytest
from hand_made import Raw, accepted
from lab import check, figures, predictions, report
from lab.backlog import Backlog


def value(formula: str, raw: Raw | None = None) -> float | None:
    run = (raw or accepted()).run()
    return predictions.Formulas(run, figures.of_phases(run)).value(formula)


def test_a_backlog_is_what_was_asked_and_not_yet_done():
    waiting = Backlog(accepted().run(), "inventory")
    assert [waiting.at(second) for second in (0.5, 1.05, 2.5, 5.1, 6.0, 9.0)] == [0, 0, 1, 4, 2, 0]
    assert waiting.peak() == 4
    assert (waiting.resumed(2.0), waiting.drained(2.0)) == (6.0, 7.0)
    assert (waiting.resumed(8.0), waiting.drained(8.0)) == (None, None)
    assert waiting.done(1.0, 6.0) == 3


def test_a_backlog_of_nothing():
    waiting = Backlog(Raw().run(), "completion")
    assert (waiting.at(1.0), waiting.peak(), waiting.resumed(0.0), waiting.drained(0.0)) == (0, 0, None, None)


@pytest.mark.parametrize(
    ("formula", "expected"),
    [
        ("completed(a, 0.01)", 0.2),
        ("completed(a, 1)", 4.6),
        ("a['completion']['notified']", 4),
        ("a['completion']['failed']", 1),
        ("a['completion']['placed']['max']", 4.59),
        ("q_between(a, 0.5, 0, 2)", 0.02),
        ('backlog("inventory", 5.1)', 4),
        ('backlog("notification", 6.5)', 2),
        ('backlog("completion", 5.1)', 4),
        ('backlog_peak("inventory")', 4),
        ('slope("inventory", 1.5, 4.5)', 1.0),
        ('done_rate("inventory", 5, 7)', 2.0),
        ('resumed("inventory", 2)', 6.0),
        ('drained("inventory", 2)', 7.0),
        ('depth("order-placed", 0, 10)', 3),
        ('depth("outbox", 2, 3)', 1),
        ('published("bad")', 3),
        ('dead_lettered("order-placed")', 3),
        ('dead_lettered("order-status")', 0),
        ('buried("bad")', 1),  # one lies there twice, one without a reason
        ('changed("one", "two")', 2),
        ('changed("one", "one")', 0),
        ('handled("order-placed", "one", "two")', 5),
    ],
)
def test_what_a_formula_may_use(formula, expected):
    assert value(formula) == pytest.approx(expected, rel=0.002)


@pytest.mark.parametrize(
    "formula",
    [
        'backlog("order", 1)',
        'resumed("inventory", 8)',
        'drained("inventory", 8)',
        'depth("order-placed", 20, 30)',
        'depth("nothing", 0, 10)',
        'changed("one", "three")',
        'slope("inventory", 1, 1)',
        "q_between(a, 0.5, 20, 30)",
    ],
)
def test_a_figure_that_is_not_there_is_nothing(formula):
    assert value(formula) is None


@pytest.mark.parametrize("formula", ['dead_lettered("order-placed")', 'buried("bad")'])
def test_without_the_broker_nobody_knows_what_is_dead(formula):
    raw = accepted()
    raw.state.append({"what": "missing", "service": "rabbitmq", "why": "it does not answer"})
    assert value(formula, raw) is None
    assert {f.verdict for f in check.check(raw.run())} == {check.UNKNOWN}


def test_an_accepted_order_may_fail_and_a_reserved_one_may_not():
    assert {f.verdict for f in check.check(accepted().run())} == {check.PASS}
    raw = accepted()
    next(e for e in raw.events if e["type"] == "ok" and e["op"] == "a-4")["kind"] = "201"
    assert [f.number for f in check.check(raw.run()) if f.verdict == check.FAIL] == [1]


def test_accepted_and_never_finished_is_not_decided():
    raw = accepted()
    for order in raw.state:
        if order["what"] == "order":
            order["timeline"], order["status"] = order["timeline"][:1], "placed"
    assert {(f.verdict, f.sentence) for f in check.check(raw.run())} == {
        (check.UNKNOWN, "Cannot tell: no order was completed.")
    }


def test_one_accepted_order_that_is_lost_is_a_broken_promise():
    raw = accepted()
    for what in ("order", "reservation", "notification"):
        raw.remove(what, "o1")
    raw.moves(+1)
    assert 1 in [f.number for f in check.check(raw.run()) if f.verdict == check.FAIL]


def test_the_report_sets_accepted_beside_completed(tmp_path):
    report.make(accepted().write(tmp_path))
    text = (tmp_path / "report.md").read_text()
    assert "| load | how | sent | accepted | refused | unknown | accepted/s |" in text
    assert "| a | 20 ms | 20 ms | 4 | 1 | 0.6 | 4.00 s | 4.60 s | 4.60 s | 4.60 s | 3.99 s | 4.59 s |" in text
    assert "| order-placed | 3 | 4.0 s |" in text
    assert "| orders for inventory | 2 | 3.5 s |" in text
    assert "| bad | order-placed | empty | 1 | 1 | no JSON |" in text
    assert "`completions.csv`, `depth.csv` and the plot" in text


def test_depths_leave_out_what_nobody_could_say(tmp_path):
    report.make(accepted().write(tmp_path))
    lines = (tmp_path / "depth.csv").read_text().splitlines()
    assert lines == [
        "at,orders for inventory,orders for notification,order-placed,outbox",
        "2.5,1,0,0,1",
        "3.5,2,0,,2",
        "4.0,2,0,3,0",
    ]


def test_a_synchronous_run_has_none_of_it(tmp_path):
    from hand_made import good

    summary = report.make(good().write(tmp_path))
    assert "completion" not in summary["phases"]["a"]
    assert not (tmp_path / "depth.csv").exists()
    assert "Accepted and completed" not in (tmp_path / "report.md").read_text()
