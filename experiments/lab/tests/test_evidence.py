"""Plots and tables are small: thinning keeps what is seen, and of one run of many there are none if it passed."""

import re
from itertools import combinations, pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from hand_made import HEAD, Raw, accepted, good, streamed
from lab.cli.main import main
from lab.history.model import HISTORY, STATE, TRACE, write_lines
from lab.report import colours, curves, extracts, marks, plot
from lab.report import run as run_report
from lab.report.series import MAX_ROWS, few, outline


def write(folder: Path, raw: Raw, **head: object) -> Path:
    folder.mkdir()
    write_lines(folder / HISTORY, [HEAD | head, *sorted(raw.events, key=lambda e: e["at"])])
    write_lines(folder / STATE, raw.state)
    return folder


def unnotified() -> Raw:
    raw = good()
    raw.remove("notification", "o0")
    return raw


@pytest.mark.parametrize(
    ("raw", "head", "kept"),
    [
        (good, {}, True),
        (good, {"place": "scale/d1_scale_out/sync-rest"}, True),
        (good, {"place": "comparison/sync-rest/delay"}, False),
        (unnotified, {"place": "comparison/sync-rest/delay"}, True),
        (good, {"place": "chaos/sync-rest/seed-1"}, False),
        (unnotified, {"place": "chaos/sync-rest/seed-1"}, True),
        (good, {"place": "broken/made/green"}, False),
        (unnotified, {"place": "broken/made/green"}, True),
        (unnotified, {"place": "broken/made/red", "broken": "made"}, False),
        (good, {"place": "broken/made/red", "broken": "made"}, True),
        (unnotified, {"broken": "made"}, True),
        (unnotified, {"place": "explore/sync-rest-made", "broken": "made"}, True),
    ],
)
def test_plot_and_messages_are_kept_unless_the_run_is_one_of_many_and_as_expected(tmp_path, raw, head, kept):
    folder = write(tmp_path / "run", raw(), **head)
    (folder / "plot.svg").write_text("of before")
    call = {"at": 1.0, "service": "order", "kind": "call", "what": "POST /reserve", "order_id": "o0", "to": "inventory"}
    write_lines(folder / TRACE, [call])
    run_report.make(folder)
    text = (folder / "report.md").read_text()
    assert (folder / "plot.svg").exists() == ("](plot.svg)" in text) == kept
    assert ("`./lab plot` with this folder draws" in text) != kept
    assert (folder / TRACE).exists() == ("trace.jsonl.gz" in text) == kept
    assert (folder / "completions.csv").exists() == ("place" not in head)
    run_report.make(folder)
    assert (folder / "report.md").read_text() == text


def test_what_is_not_kept_can_be_drawn(tmp_path):
    folder = write(tmp_path / "run", accepted(), place="chaos/async-rabbitmq/seed-1")
    run_report.make(folder)
    before = {path.name for path in folder.iterdir()}
    assert CliRunner().invoke(main, ["plot", str(folder)]).exit_code == 0
    assert {path.name for path in folder.iterdir()} - before == {"plot.svg", "completions.csv", "depth.csv"}
    assert "notified" in (folder / "plot.svg").read_text()


def test_a_thinned_table_keeps_its_peaks():
    rows = [{"at": n / 5, "a": n % 7, "b": 1} for n in range(6000)]
    rows[1234]["a"], rows[4321]["b"] = 99, -5
    thin = few(rows)
    assert len(thin) <= MAX_ROWS
    assert rows[1234] in thin
    assert rows[4321] in thin
    assert max(later["at"] - row["at"] for row, later in pairwise(thin)) < 20
    assert few(rows[:MAX_ROWS]) == rows[:MAX_ROWS]


def test_what_nobody_could_say_is_no_lowest_value():
    assert outline([{"at": 0}, {"at": 1, "a": 3}, {"at": 2}], ["a"], 1) == [{"at": 1, "a": 3}]


def test_dots_that_touch_are_one_stroke():
    assert curves.strokes([1, 3, 4, 8]) == [(1, 4), (8, 8)]
    assert curves.strokes([5]) == [(5, 5)]


@pytest.mark.parametrize("orders", [3_000])
def test_the_plot_of_many_orders_is_small_and_shows_the_slowest(tmp_path, orders):
    raw = streamed()
    for n in range(orders):
        raw.sends(f"a-more-{n}", 1 + n / 100, [{"sku": "burger", "qty": 1}])
        raw.sees(f"a-more-{n}", 1 + n / 100 + 0.001 * (1 + n * 7919 % 1000), "202", f"none-{n}")
    folder = write(tmp_path / "run", raw)
    run_report.make(folder)
    assert (folder / "plot.svg").stat().st_size <= plot.MAX_BYTES


# How the three kinds of colour-blindness see linear RGB: Machado, Oliveira and Fernandes (2009), at full strength.
SEEN = {
    "usual": ((1, 0, 0), (0, 1, 0), (0, 0, 1)),
    "protanopia": ((0.1523, 1.0526, -0.2049), (0.1145, 0.7863, 0.0992), (-0.0039, -0.0481, 1.0520)),
    "deuteranopia": ((0.3673, 0.8606, -0.2280), (0.2801, 0.6725, 0.0474), (-0.0118, 0.0429, 0.9689)),
    "tritanopia": ((1.2555, -0.0767, -0.1788), (-0.0784, 0.9308, 0.1476), (0.0047, 0.6914, 0.3039)),
}
XYZ = ((0.4339, 0.3763, 0.1899), (0.2127, 0.7152, 0.0722), (0.0178, 0.1095, 0.8730))  # of white 1, 1, 1


def lab_colour(colour: str, eyes: str) -> tuple[float, float, float]:
    def times(matrix, vector):
        return [sum(a * b for a, b in zip(line, vector, strict=True)) for line in matrix]

    rgb = [int(colour[n : n + 2], 16) / 255 for n in (1, 3, 5)]
    linear = [c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in rgb]
    shown = [min(1.0, max(0.0, c)) for c in times(SEEN[eyes], linear)]
    x, y, z = (c ** (1 / 3) if c > 0.008856 else 7.787 * c + 16 / 116 for c in times(XYZ, shown))
    return 116 * y - 16, 500 * (x - y), 200 * (y - z)


@pytest.mark.parametrize("eyes", SEEN)
def test_colours_that_stand_in_one_plot_are_told_apart_by_everybody(eyes):
    results = [*colours.RESULT.values(), colours.NOTIFIED]
    drawn = [*results, colours.WAITING, colours.PREDICTED, *colours.SERVICE.values()]
    assert len(set(drawn)) == len(drawn)  # one meaning a colour
    for least, group in ((18, results), (14, drawn)):
        for one, other in combinations(group, 2):
            pairs = zip(lab_colour(one, eyes), lab_colour(other, eyes), strict=True)
            assert sum((a - b) ** 2 for a, b in pairs) ** 0.5 >= least, (eyes, one, other)


def predicted(figure: str, value: float, rule: str = "at most", **ends: float) -> dict:
    drawn = {"figure": figure, "predicted": value, **ends}
    return {"id": "a0-drawn", "rule": rule, "drawn": drawn}


@pytest.mark.parametrize(
    ("figure", "made"),
    [
        ('load("a").percentile(0.5)', accepted),
        ('load("a").percentile(0.5, 2, 4.5)', accepted),
        ('load("a").error_latency("504", 1)', good),
        ('load("a").longest', good),
        ('load("a").achieved', good),
        ('load("a").first_ok(2)', good),
        ('backlog("inventory").peak()', accepted),
        ('backlog("inventory").growth(1, 4)', accepted),
        ('backlog("completion").drained(2)', accepted),
        ('backlog("completion").rate(1, 4)', accepted),
        ('queue_peak("outbox", 1.5, 5.5)', accepted),
        ('lag("inventory").peak()', streamed),
        ('lag("inventory").at(4)', streamed),
        ('lag("inventory").growth(1, 4)', streamed),
        ('backlog("completion").drained(2)', streamed),
    ],
)
def test_a_prediction_is_drawn_where_its_figure_is(figure, made):
    given = plot.drawn(made().run(), [predicted(figure, 2.0)]).decode()
    assert "a0-drawn" in given
    assert colours.PREDICTED.lower() in given.lower()
    assert colours.PREDICTED.lower() not in plot.drawn(made().run(), []).decode().lower()


def test_a_quantile_is_predicted_beside_its_curve():
    p99 = predicted('load("a").percentile(0.99)', 0.5, "equals", low=0.4, high=0.6)
    assert b"predicted (" in plot.drawn(good().run(), [p99])


def test_a_setting_is_named_and_only_a_fault_is_shaded():
    raw = good()
    raw.fault("configure", "order", 2.0, timeout=60)
    raw.fault("configure", "notification", 2.0, delay=1)
    run = raw.run()
    assert {w.service: marks.is_fault(w) for w in run.windows if w.service != "inventory"} == {
        "order": False,
        "notification": True,
    }
    assert b"order: timeout=60" in plot.drawn(run, [])


def test_what_is_done_to_replicas_in_turn_is_named_once_and_shaded_once():
    raw = good()
    for n in (1, 2, 3):
        raw.fault("configure", f"inventory.{n}", 2.0 + n / 10, delay=1)
    raw.fault("kill", "inventory.1", 3.0)
    raw.fault("configure", "inventory.1", 4.0, delay=1)
    names = re.findall(r">(inventory\.[^<]+)</text>", plot.drawn(raw.run(), []).decode())
    assert {*names} == {"inventory.1–3: delay=1", "inventory.1: killed", "inventory.1: delay=1"}
    assert marks._united([(1, 3), (2, 5), (6, 7), (2, 4)]) == [(1, 5), (6, 7)]


def test_loads_are_named_at_their_times_in_rows_that_do_not_overlap():
    raw = good()
    raw.load("second", 1.2, 5.0)
    assert b">second</text>" in plot.drawn(raw.run(), [])
    assert marks.rows(raw.run(), 10.0) == 2


def test_a_curve_has_a_gap_where_nothing_was_known():
    raw = streamed()
    raw.fault("kill", "kafka", 4.5)
    raw.fault("start", "kafka", 4.8)
    rows = plot._with_gaps(
        raw.run(), [{"at": 1.0, "g": 1}, {"at": 4.0, "g": 2}, {"at": 5.0, "g": 3}, {"at": 20.0, "g": 1}]
    )
    assert [row["at"] for row in rows if "g" not in row] == [4.5, 11.0]
    axes = plot.plt.figure().add_subplot()
    curves.steps(axes, rows, "g", 400)
    [line] = axes.get_lines()
    assert len([y for y in line.get_ydata() if y != y]) == 2
    assert list(line.get_xdata()) == [1.0, 4.0, 4.5, 5.0, 11.0, 20.0, 20.0]


def test_lag_tables_and_metrics_stand_beside_the_report(tmp_path):
    raw = streamed()
    for e in raw.events:
        if e["type"] == "lag table":
            e["name"] = "throttled"
    folder = write(tmp_path / "run", raw)
    run_report.make(folder)
    lines = (folder / "lag_during.txt").read_text().splitlines()
    assert lines[0].split() == [name.upper() for name in extracts.COLUMNS]
    assert lines[1].split() == ["inventory-consumer-group", "order-events", "0", "-", "12", "2", "-", "-", "c1"]
    assert (folder / "metrics_before.json").read_text() == (folder / "metrics_after.json").read_text()
    assert '"ordersPerMinuteBucket"' in (folder / "metrics.json").read_text()
    assert (folder / "replay_diff.txt").read_text().endswith("the same, by digest and in every number\n")
    assert "`metrics.json`" in (folder / "report.md").read_text()
