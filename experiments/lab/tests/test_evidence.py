"""Plots and tables are small: thinning keeps what is seen, and of one run of many there are none if it passed."""

from itertools import pairwise
from pathlib import Path

import pytest
from click.testing import CliRunner
from hand_made import HEAD, Raw, accepted, good, streamed
from lab.cli.main import main
from lab.history.model import HISTORY, STATE, write_lines
from lab.report import plot
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
        (good, {"place": "comparison/sync-rest/delay"}, True),
        (good, {"place": "chaos/sync-rest/seed-1"}, False),
        (unnotified, {"place": "chaos/sync-rest/seed-1"}, True),
        (good, {"place": "broken/made/green"}, False),
        (unnotified, {"place": "broken/made/green"}, True),
        (unnotified, {"place": "broken/made/red", "broken": "made"}, False),
        (good, {"place": "broken/made/red", "broken": "made"}, True),
        (unnotified, {"broken": "made"}, True),
    ],
)
def test_a_plot_is_kept_unless_the_run_is_one_of_many_and_as_expected(tmp_path, raw, head, kept):
    folder = write(tmp_path / "run", raw(), **head)
    (folder / "plot.svg").write_text("of before")
    run_report.make(folder)
    text = (folder / "report.md").read_text()
    assert (folder / "plot.svg").exists() == ("](plot.svg)" in text) == kept
    assert ("`./lab plot` with this folder draws" in text) != kept
    assert (folder / "completions.csv").exists() == ("place" not in head)


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
    assert plot.strokes([1, 3, 4, 8]) == [(1, 4), (8, 8)]
    assert plot.strokes([5]) == [(5, 5)]


@pytest.mark.parametrize("orders", [3_000])
def test_the_plot_of_many_orders_is_small_and_shows_the_slowest(tmp_path, orders):
    raw = streamed()
    for n in range(orders):
        raw.sends(f"a-more-{n}", 1 + n / 100, [{"sku": "burger", "qty": 1}])
        raw.sees(f"a-more-{n}", 1 + n / 100 + 0.001 * (1 + n * 7919 % 1000), "202", f"none-{n}")
    folder = write(tmp_path / "run", raw)
    run_report.make(folder)
    assert (folder / "plot.svg").stat().st_size <= plot.MAX_BYTES
