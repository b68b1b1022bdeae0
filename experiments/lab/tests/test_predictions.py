"""Predictions: what they may ask of a run, each rule, what they remember, and what a mistake leads to."""

import math
import re

import pytest
from campus.faults import FaultConfig
from conftest import ROOT, Copy
from hand_made import Raw, asked, good, items
from lab.analysis import latency
from lab.checker import formula, invariants, predictions
from lab.checker.figure import Figure, NotKnown, largest, smallest
from lab.checker.formula import Formula
from lab.checker.predictions import Run, at_least, at_most, equals
from lab.checker.run_view import SETTINGS
from lab.errors import LabError
from lab.grading import rubric
from lab.paths import PARTS
from lab.runtime import broken as broken_versions
from lab.services import services_of

FILES = sorted(
    script.with_suffix(".py")
    for folder in ("", "comparison/", "broken/")
    for script in (ROOT / "experiments").glob(f"{folder}*.sh")
    if script.with_suffix(".py").exists()
)
SAID = re.compile(r"""\b(?:equals|at_least|at_most)\(\s*f?"([^"]*)",""")


def measured() -> Raw:
    """Return the good run with a load `b` of one slow order, a killed notification and a frozen order service."""
    raw = good()
    raw.load("b", 10.0, 13.0)
    raw.sends("b-0", 10.0, items(1, "soda"))
    raw.sees("b-0", 12.0, "201", "o5")
    raw.order("o5", "b-0", items(1, "soda"), (10.1, "placed"), (10.2, "reserved"), (12.5, "notified"))
    raw.load("empty", 14.0, 15.0)
    raw.fault("kill", "notification", 10.5)
    raw.fault("start", "notification", 11.75)
    raw.fault("pause", "order", 12.9)
    raw.fault("configure", "inventory", 13.0, delay=2.5, jitter=0.5)
    return raw


@pytest.mark.parametrize(
    ("question", "expected"),
    [
        ("run.load('a').sent", 5),
        ("run.load('a').ok + run.load('a').refused * 2", 5),
        ("run.load('a').unknown", 2),
        ("run.load('a').not_accepted", 4),
        ("run.load('a').params['rate']", 1),
        ("run.load('b').began", 10.0),
        ("run.load('b').achieved", 0.5),
        ("run.load('b').seconds", 3.0),
        ("run.load('b').longest", 2.0),
        ("run.load('b').percentile(0.9)", 2.0),
        ("run.load('a').share('504')", 0.2),
        ("run.load('a').share('500')", 0),
        ("run.load('a').count('504')", 1),
        ("run.load('a').count('500')", 0),
        ("run.load('a').error_latency('504', 0.5)", 0.5),
        ("run.load('a').later_than('504', 0.4)", 1),
        ("run.load('a').later_than('504', 0.6)", 0),
        ("run.load('a').later_than('500', 0.1)", 0),
        ("run.load('b').mean", 2.0),
        ("run.load('b').slower_than(0.1)", 1),
        ("run.load('a').slower_than(0.5)", 0),
        ("run.load('a').ended_as('notified')", 2),
        ("run.load('a').ended_as('failed')", 2),
        ("run.fault('inventory', 'frozen').duration", 0.595),
        ("run.fault('notification', 'killed').since", 10.5),
        ("run.fault('notification', 'killed').until", 11.75),
        ("run.fault('inventory', 'jitter').value", 0.5),
        ("run.load('a').first_ok(0)", 1.1),
        ("run.load('b').first_ok(5)", 12.0),
        ("run.load('a').last_refused()", 5.001),
        ("run.load('a').refused_after(2.5)", 1),
        ("run.backlog('inventory').finished()", 10.2),
        ("run.load('a').last_notified(3)", 1.03),
        ("run.load('a').last_notified(100)", 4.5),
        ("run.reservations('reserved')", 2),
        ("run.reservations('released')", 1),
        ("min(run.load('a').ok, run.load('a').sent)", 1),
        ("max(0, run.load('a').sent)", 5),
        ("20 / (16 / run.load('b').longest) + abs(-run.load('b').mean) // 1", 4.5),
    ],
)
def test_what_a_prediction_may_ask(question, expected):
    assert asked(measured(), question) == pytest.approx(expected, rel=0.002)


@pytest.mark.parametrize(
    "question",
    [
        "run.load('nobody').sent",
        "run.load('nobody').ended_as('notified') / run.load('nobody').sent",
        "run.load('empty').percentile(0.5)",
        "run.load('empty').percentile(0.5) - run.load('a').percentile(0.5)",
        "run.load('empty').mean",
        "run.load('nobody').later_than('504', 0.1)",
        "run.load('empty').slower_than(0.1)",
        "run.load('empty').share('504')",
        "1 / run.load('empty').sent",
        "run.load('a').error_latency('500', 0.5)",
        "run.fault('order', 'frozen').duration",  # nobody mended it
        "run.fault('inventory', 'killed').since",  # nobody did it
        "run.fault('order', 'delay').value",
        "run.load('a').first_ok(2)",
        "run.load('b').last_refused()",
        "run.load('a').last_notified(1)",
        "run.load('empty').last_notified(100)",
    ],
)
def test_a_figure_that_is_not_there_is_nan(question):
    assert math.isnan(asked(measured(), question))


@pytest.mark.parametrize("question", ["run.load('a').ended_as('unknown')", "run.load('a').last_notified(100)"])
def test_without_the_orders_nobody_knows_what_became_of_them(question):
    raw = measured()
    raw.state.append({"what": "missing", "service": "order", "why": "it does not answer"})
    assert math.isnan(asked(raw, question))
    assert asked(raw, "run.reservations('reserved')") == 2


def test_without_the_reservations_nobody_knows_what_is_held():
    raw = measured()
    raw.state.append({"what": "missing", "service": "inventory", "why": "it does not answer"})
    assert math.isnan(asked(raw, "run.reservations('reserved')"))
    assert math.isnan(asked(Raw(), "run.reservations('reserved')"))


@pytest.mark.parametrize("question", ["min(1, {})", "min({}, 1)", "max(0, {})", "max({}, 0)", "{} < 1", "1 >= {}"])
def test_a_figure_that_is_not_there_is_not_compared(question):
    with pytest.raises(NotKnown):
        asked(measured(), question.format("run.load('empty').mean"))


def sources(number: Figure) -> dict[str, float]:
    return {leaf.name: leaf.value for leaf in number.formula.figures()}


def seen(value: float, name: str) -> Figure:
    """Return a figure of the run with this name."""
    return Figure(value, Formula(value, name=name))


def test_the_smallest_and_the_largest_are_not_known_if_one_is_not():
    a, missing = seen(3, "a"), seen(math.nan, "b")
    assert (smallest(a, 5), largest(2, a, 1), sources(smallest(2, a))) == (3, 3, {"a": 3})
    for chosen in (smallest(missing, a), smallest(a, missing), largest(a, missing), largest(missing, a)):
        assert math.isnan(chosen)
        assert set(sources(chosen)) == {"a", "b"}


def test_a_number_remembers_what_it_was_computed_from():
    a, b = seen(3, "a"), seen(4, "b")
    assert sources(2 * a - b / 2) == {"a": 3, "b": 4}
    assert sources(sum([a, a])) == sources(max(a, 1)) == {"a": 3}


@pytest.mark.parametrize(
    ("made", "names", "values"),
    [
        (lambda a, b: (a + b) * 2 - b / (a - 1), "(a + b) × 2 − b ÷ (a − 1)", "(3 + 4) × 2 − 4 ÷ (3 − 1)"),
        (lambda a, b: 2 * (a / b) / (b / a), "2 × (a ÷ b) ÷ (b ÷ a)", "2 × (3 ÷ 4) ÷ (4 ÷ 3)"),
        (lambda a, b: 10 - (a - b), "10 − (a − b)", "10 − (3 − 4)"),
        (lambda a, b: sum([a, b]), "a + b", "3 + 4"),
        (lambda a, b: smallest(a, -b + 20_000), "smallest(a, −(b) + 20,000)", "smallest(3, −(4) + 20,000)"),
        (lambda a, b: a / Figure(math.nan, Formula(math.nan, name="c")), "a ÷ c", "3 ÷ ?"),
    ],
)
def test_a_number_shows_its_formula(made, names, values):
    number = made(seen(3, "a"), seen(4, "b"))
    assert number.formula.written(formula.named) == names
    assert number.formula.written(formula.valued) == values


@pytest.mark.parametrize(
    ("measured_as", "bounds"),
    [
        (lambda a, b: a, (9, 10, 11)),
        (lambda a, b: a - b, (13, 14, 15)),
        (lambda a, b: a / b * 2, (18, 20, 22)),
        (lambda a, b: a * b + 1, (2, 2.25, 2.5)),
        (lambda a, b: 20 - a, None),
    ],
)
def test_a_plot_draws_a_prediction_as_a_value_of_the_first_figure(measured_as, bounds):
    number = measured_as(seen(3, "a"), seen(4, "b"))
    found = predictions._drawn(number.formula, equals("a-b", "", number, 10, within="10%").bounds())
    assert found == (bounds and dict(zip(("figure", "low", "predicted", "high"), ("a", *bounds), strict=True)))


NAN = Figure(math.nan)


@pytest.mark.parametrize(
    ("prediction", "verdict"),
    [
        (equals("a-b", "", 105, 100, within="5%"), "pass"),
        (equals("a-b", "", 95, 100, within="5%"), "pass"),
        (equals("a-b", "", 105.1, 100, within="5%"), "fail"),
        (equals("a-b", "", 94.9, 100, within="5%"), "fail"),
        (equals("a-b", "", -105, -100, within="5%"), "pass"),
        (equals("a-b", "", 105, 100, within=5), "pass"),
        (equals("a-b", "", 94.9, 100, within=5), "fail"),
        (equals("a-b", "", 100.5, 100, within=0.5), "pass"),
        (equals("a-b", "", 5, 5), "pass"),
        (equals("a-b", "", 4, 5), "fail"),
        (at_most("a-b", "", 5, 5), "pass"),
        (at_most("a-b", "", 5.1, 5), "fail"),
        (at_most("a-b", "", -5.1, 5), "pass"),
        (at_least("a-b", "", 5, 5), "pass"),
        (at_least("a-b", "", 4.9, 5), "fail"),
        (equals("a-b", "", NAN, 1), "unknown"),
        (equals("a-b", "", NAN, NAN), "unknown"),
        (at_most("a-b", "", NAN, 1), "unknown"),
        (at_least("a-b", "", 1, NAN), "unknown"),
    ],
)
def test_rules(prediction, verdict):
    assert prediction.verdict() == verdict


def judged(raw: Raw) -> tuple[list[dict], str]:
    run = raw.run()
    return predictions.judge(run, latency.of_phases(run))


def test_what_was_predicted_and_measured_is_kept_and_how_it_is_written(expecting):
    expecting(
        'a, b = run.load("a"), run.load("b")',
        "yield equals(",
        '    "a0-mean", "Slow", b.mean,',
        '    a.sent / 3, within="20%", unit="s"',
        ")",
    )
    [row], why = judged(measured())
    assert (row["predicted"], row["measured"], row["verdict"], why) == (1.666667, 2.0, "pass", "")
    assert (row["id"], row["sentence"], row["rule"], row["within"], row["unit"]) == (
        "a0-mean",
        "Slow",
        "equals",
        "20%",
        "s",
    )
    assert (row["line"], row["measure"], row["expect"]) == (6, "b.mean", "a.sent / 3")
    assert row["values"] == {'load("b").mean': 2.0, 'load("a").sent': 5.0}


def test_predictions_after_one_that_cannot_be_computed_are_not_judged(expecting):
    expecting(
        'yield equals("a0-one", "", run.load("a").sent, 5)', 'yield equals("a0-two", "", max(0, run.load("c").sent), 5)'
    )
    [row], why = judged(good())
    assert (row["id"], row["verdict"]) == ("a0-one", "pass")
    assert "a0_made.py, line 6: NotKnown: " in why


def test_predictions_that_were_changed_after_the_run_are_unknown(expecting):
    file = expecting('yield equals("a0-sent", "", run.load("a").sent, 5)')
    raw = good()
    raw.add("predictions", 0.1, text=file.read_text())
    assert [(row["verdict"], why) for rows, why in [judged(raw)] for row in rows] == [("pass", "")]
    file.write_text(file.read_text().replace(", 5)", ", 4)"))
    rows, why = judged(raw)
    assert (rows[0]["verdict"], why) == ("unknown", "The predictions were changed after the run.")


def test_predictions_of_which_there_is_no_file_are_unknown(expecting):
    expecting().unlink()
    assert judged(good()) == ([], "")
    raw = good()
    raw.add("predictions", 0.1, text="")
    assert judged(raw) == ([], "There is no file of predictions for a0_made here.")


@pytest.mark.parametrize("name", ["../a0_made", "a0_made/../a0_made", "", "/a0_made"])
def test_only_our_own_file_is_looked_for(expecting, name):
    file = expecting()
    (file.parent / "comparison").mkdir()
    for place in ("", "comparison/a0_made", "../x"):
        assert predictions.path_of({"experiment": name, "place": place}) is None


# before the run

GOOD = 'yield equals("a0-sent", "", run.load("a").sent, 5)'


def rehearsed(file, script: str = "lab load a --rate 5") -> str:
    file.with_suffix(".sh").write_text(script)
    return predictions.rehearse(file.with_suffix(".sh"), "sync-rest", quick=True, services=["order", "inventory"])


@pytest.mark.parametrize(
    "lines",
    [
        (GOOD,),
        ('yield equals("a0-ratio", "", 5 / (run.load("a").mean - 1), 5)',),  # nothing divides by zero
        ('yield at_least("a0-value", "", run.fault("inventory", "delay").value, run.load("a").params["rate"])',),
        ('yield at_least("a0-least", "", 1 / (smallest(run.load("a").mean, 3) - 1), largest(1, run.load("a").mean))',),
        ('yield at_least("a0-min", "", min(run.load("a").mean, 3), run.report("after")["totalOrdersSeen"])',),
        ('if run.part == "sync-rest" and run.quick:', f"    {GOOD}"),
        ('yield from (equals(f"a0-n{n}", "", n, run.load("a").sent) for n in range(3))',),
    ],
)
def test_a_stand_in_takes_what_makes_sense(expecting, lines):
    file = expecting(*lines)
    assert rehearsed(file) == file.read_text()


@pytest.mark.parametrize(
    ("lines", "line", "said"),
    [
        (
            (GOOD, 'yield equals("a0-two", "", run.load("a").snet, 5)'),
            6,
            "AttributeError: 'Load' object has no attribute",
        ),
        (
            (GOOD, 'yield equals("a0-two", "", run.laod("a").sent, 5)'),
            6,
            "AttributeError: 'Run' object has no attribute",
        ),
        ((GOOD, 'yield equals("a0-two", "", sent, 5)'), 6, "NameError: name 'sent' is not defined"),
        ((GOOD, 'yield equals("a0-two", "", run.load("b").sent, 5)'), 6, "there is no load 'b' here; there are: a"),
        (
            (GOOD, 'yield equals("a0-two", "", run.fault("kitchen", "killed").since, 5)'),
            6,
            "there is no service 'kitchen'",
        ),
        ((GOOD, 'yield equals("a0-two", "", run.fault("order", "kiled").since, 5)'), 6, "nothing is 'kiled'"),
        ((GOOD, 'yield equals("a0-two", "", run.backlog("order").peak(), 5)'), 6, "orders do not wait for 'order'"),
        (
            (GOOD, 'yield equals("a0-two", "", run.load("a").percentile(), 5)'),
            6,
            "missing a required argument: 'share'",
        ),
        ((GOOD, 'yield equals("a0-two", "", run.load("a").params["rat"], 5)'), 6, "KeyError: 'rat'"),
        ((GOOD, 'yield equals("a0-two", "", run.report("after")["ordersSeen"], 5)'), 6, "KeyError: 'ordersSeen'"),
        ((GOOD, 'yield equals("a0-two", "", run.load("a").percentile, 5)'), 6, "is not a number"),
        ((GOOD, "x = 1", 'yield equals("a0-two", "", 1, 5, within="roughly")'), 7, "roughly is no tolerance"),
        ((GOOD, 'yield equals("a0-two", "", 1, 5, within=-1)'), 6, "-1 is no tolerance"),
        ((GOOD, 'yield equals("A sentence.", "", 1, 5)'), 6, "'A sentence.' is no id"),
        ((GOOD, 'yield equals("one", "", 1, 5)'), 6, "'one' is no id"),
        ((GOOD, GOOD), 6, "ValueError: a0-sent is here twice"),
        ((GOOD, 'yield run.load("a").sent'), 6, "is no prediction"),
        ((GOOD, "raise OSError('gone')"), 6, "OSError: gone"),
        ((GOOD, "def"), 6, "SyntaxError: invalid syntax"),
        (("return", GOOD), None, "predictions(run) yields nothing"),
        (("return []",), None, "predictions(run) yields nothing"),
    ],
)
def test_a_mistake_is_told_with_file_and_line(expecting, lines, line, said):
    file = expecting(*lines)
    with pytest.raises(LabError) as error:
        rehearsed(file)
    assert str(error.value).startswith(f"{file}, line {line}: " if line else f"{file}: ")
    assert said in str(error.value)


def test_a_script_without_predictions_does_not_begin(expecting):
    file = expecting(GOOD)
    file.unlink()
    with pytest.raises(LabError, match=r"there is no .*a0_made\.py with the predictions of a0_made\.sh"):
        rehearsed(file)


def test_a_mistake_stops_the_script_before_anything_starts(copy: Copy):
    file = copy.root / "experiments/a1_baseline.py"
    file.write_text(file.read_text().replace("twenty.mean", "twenty.maen"))
    line = 1 + next(n for n, text in enumerate(file.read_text().splitlines()) if "twenty.maen" in text)
    status, said = copy.run("experiments/a1_baseline.sh", "--quick")
    assert status == 2, said
    assert (
        f"lab: experiments/a1_baseline.py, line {line}: AttributeError: 'Load' object has no attribute 'maen'" in said
    )
    assert not (copy.root / ".lab/run").exists()
    assert not (copy.root / ".lab/runs").exists()


# ids


def all_ids() -> list[str]:
    """Return the ids of all predictions of all scripts, each once for each file in which it is."""
    found = []
    for file in FILES:
        mine = set()
        for part in PARTS:
            for quick in (True, False):
                yielded = predictions.yielded(file, file.read_text(), Run.before(part, quick, {}))
                mine |= {prediction.id for prediction, _ in yielded}
        found += sorted(mine)
    return found


def test_every_script_has_predictions():
    stories = {broken_versions.named(name).story for name in broken_versions.names()}
    assert {file.stem for file in FILES if file.parent.name == "broken"} == stories
    assert len([file for file in FILES if file.parent.name == "comparison"]) == 8
    own = [file.stem for file in FILES if file.parent.name == "experiments"]
    assert len([stem for stem in own if stem[0] in "abc"]) == 18 + 1


@pytest.mark.parametrize("file", FILES, ids=[file.stem for file in FILES])
def test_every_file_of_predictions_can_be_rehearsed(file):
    begun_for = re.search(r'^\. .*experiment\.sh" ([a-z-]+) ', file.with_suffix(".sh").read_text(), re.MULTILINE)
    parts = (begun_for[1],) if begun_for else PARTS  # others are told their part
    for part in parts:
        for quick in (True, False):
            several = [f"{name}.{n}" for name in ("kafka", "rabbitmq", "inventory") for n in range(1, 9)]
            services = ["kafka", "rabbitmq", *several, *services_of(part, {})]
            assert predictions.rehearse(file.with_suffix(".sh"), part, quick=quick, services=services)


def test_ids_are_unique_and_none_is_a_sentence():
    ids = all_ids()
    assert len(ids) == len(set(ids)) > 100
    assert all(predictions.ID.fullmatch(id) for id in ids)
    assert all(re.fullmatch(r"INV-\d|LOG-1", id) for id in invariants.IDS)
    assert len(set(invariants.IDS)) == len(invariants.IDS)


def test_every_id_that_something_refers_to_exists():
    there = {*all_ids(), *invariants.IDS}
    referred = [id for line in rubric.lines() for id in line.get("predictions", [])]
    referred += [id for name in broken_versions.names() for id in broken_versions.named(name).caught_by]
    assert [id for id in referred if id not in there] == []
    assert len(referred) > 20


def test_a_line_of_the_rubric_names_predictions_of_its_experiment():
    for line in rubric.lines():
        text = (ROOT / f"experiments/{line.get('experiment', 'a1_baseline')}.py").read_text()
        assert all(f'"{id}"' in text for id in line.get("predictions", []))


def test_a_prediction_may_ask_for_each_fault_that_a_service_has():
    assert tuple(FaultConfig.model_fields) == SETTINGS
