"""The picture of a run: latency over time, replies per second, latency by quantile; disturbed times are shaded.

The same raw files give the same bytes: no date, fixed ids, text as text. Of what lies too close to be told apart only
the outline is drawn: dots that touch become one stroke, and of a curve the highest and lowest value of each column.
"""

import math
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from itertools import pairwise
from pathlib import Path
from typing import Any

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path as MplPath

from lab.analysis import lag, latency
from lab.analysis.lag import LagSeries
from lab.history.model import Operation, Run
from lab.report.series import Row, outline
from lab.report.svg import STYLE, as_svg

COLOURS = {"ok": "#2b7a4b", "fail": "#c8502d", "info": "#7d4bb0", "notified": "#2a6fb0", "waiting": "#555555"}
LABELS = {
    "ok": "done (2xx)",
    "fail": "refused (409, 502, 503, no connection)",
    "info": "outcome unknown (500, 504, no reply)",
}
ACCEPTED = {"ok": "accepted (202)"}
FAULT = "#f0c24b"
CROWDED, MAX_LETTERS = 6, 26  # more disturbances than that, and their names must be short
WIDE = 100  # letters of a legend that fit into one line
LOADS = ("#2a6fb0", "#c8502d", "#2b7a4b", "#7d4bb0", "#b08a2a", "#3aa0a0", "#a03a6b", "#555555") * 4
MAX_BYTES = 60_000
COLUMNS = (400, 320, 250, 190, 140, 100)  # the first with which the picture is small enough; 400 are 1.4 points wide
ROWS_A_DECADE, TOUCHING = 30, 2  # dots that are two rows apart touch: 1.6 points or less
HEIGHT = 300  # half points of a panel
QUANTILES = [n / 100 for n in range(1, 100)] + [0.995, 0.999]


def draw(run: Run, path: Path) -> None:
    """Write the picture of a run as SVG, of at most 60 KB unless even the coarsest is larger."""
    pictures = (_picture(run, columns) for columns in COLUMNS)
    found = next((svg for svg in pictures if len(svg) <= MAX_BYTES), b"")
    path.write_bytes(found or _picture(run, COLUMNS[-1]))


def _picture(run: Run, columns: int) -> bytes:
    panels: dict[str, Callable[[Axes], None]] = {
        "Latency of each order, at the time when it was meant to be sent": lambda axes: _latency(axes, run, columns),
        "Replies per second, orders notified, and orders waiting for a reply": lambda axes: _replies(
            axes, run, columns
        ),
    }
    if depths := latency.depths(run):
        seen = dict.fromkeys(name for row in depths for name in row if name != "at")
        names = {name: name for name in seen if any(row.get(name) for row in depths)}
        panels["Messages waiting in the queues and the outbox; dashed: orders, by their timelines"] = lambda axes: (
            _waiting(axes, run, columns, depths, names, "messages, orders")
        )
    if lags := lag.rows(run):
        groups = {group: group.removesuffix("-group") for group in lag.groups(run)}
        panels["Lag of each group: records that it has not read yet"] = lambda axes: _waiting(
            axes, run, columns, lags, groups, "records"
        )
        of = LagSeries(run, "inventory-consumer-group")
        partitions = {lag.name_of(of.group, partition): f"partition {partition[1]}" for partition in of.partitions}
        panels["Lag of inventory, by partition of order-events"] = lambda axes: _waiting(
            axes, run, columns, lags, partitions, "records"
        )
    with plt.rc_context(STYLE):
        picture, places = plt.subplots(len(panels) + 1, 1, figsize=(9, 3.5 * (len(panels) + 1)))
        last = _end(run)
        for (title, panel), axes in zip(panels.items(), places, strict=False):
            panel(axes)
            axes.set_title(title, loc="left", fontsize=9)
            axes.set_xlim(0, last * 1.02)
            axes.set_xlabel("seconds since the run began")
            _shade(axes, run, last)
            _legend(axes)
        _by_quantile(places[-1], run)
        picture.suptitle(run.head["title"], fontsize=11)
        picture.subplots_adjust(left=0.09, right=0.98, top=0.93, bottom=0.08, hspace=0.5)
        return as_svg(picture)


def _end(run: Run) -> float:
    """Return when the last thing happened that the picture shows."""
    last = max((op.ended or op.intended for op in run.operations), default=1.0)
    if run.asynchronous:
        last = max([last] + [op.intended + took for op, took in latency.completions(run, run.operations)])
    return max([last] + [sample["at"] + 1 for sample in run.of_type("lag") if sample["lag"]])


def _labels(run: Run) -> dict[str, str]:
    return LABELS | (ACCEPTED if run.asynchronous else {})


def _latency(axes: Axes, run: Run, columns: int) -> None:
    width = _end(run) / columns
    if run.asynchronous:
        _dots(axes, latency.completions(run, run.operations), width, COLOURS["notified"], "notified")
    for result in ("ok", "fail", "info"):
        found = [(op, latency.latency(op)) for op in run.operations if op.result == result]
        _dots(axes, found, width, COLOURS[result], _labels(run)[result])
    axes.set_yscale("log")
    axes.set_ylim(top=axes.get_ylim()[1] * (20 if run.windows else 1))  # room for the names of the faults
    axes.set_ylabel("seconds (log)")


def _dots(axes: Axes, found: Iterable[tuple[Operation, float]], width: float, colour: str, label: str) -> None:
    """Draw each latency as a dot at the time of its order; dots one above the other that touch are one stroke."""
    columns: dict[int, set[int]] = defaultdict(set)
    for op, took in found:
        columns[round(op.intended / width)].add(round(ROWS_A_DECADE * math.log10(max(took, 1e-4))))
    ends = [
        (column * width, 10 ** (end / ROWS_A_DECADE))
        for column, rows in sorted(columns.items())
        for stroke in strokes(sorted(rows))
        for end in stroke
    ]
    if ends:
        shape = MplPath(ends, [MplPath.MOVETO, MplPath.LINETO] * (len(ends) // 2))
        axes.add_patch(PathPatch(shape, fill=False, lw=2.2, edgecolor=colour, capstyle="round", zorder=2))
        axes.plot([], [], ".", ms=3, color=colour, label=label)


def strokes(rows: list[int]) -> list[tuple[int, int]]:
    """Return the first and the last row of each stretch of dots that touch."""
    ends = [-1, *(n for n, (one, other) in enumerate(pairwise(rows)) if other > one + TOUCHING), len(rows) - 1]
    return [(rows[before + 1], rows[end]) for before, end in pairwise(ends)]


def _replies(axes: Axes, run: Run, columns: int) -> None:
    rows = latency.per_second(run)
    for result in ("ok", "fail", "info"):
        if any(row[result] for row in rows):
            _steps(axes, rows, result, columns, color=COLOURS[result], label=_labels(run)[result])
    _steps(axes, rows, "notified", columns, ls=":", color=COLOURS["notified"], label="notified")
    label = "waiting at the second's end"
    _steps(axes, rows, "waiting", columns, lw=0.8, color=COLOURS["waiting"], label=label)
    axes.set_yscale("symlog", linthresh=10)
    axes.set_ylim(0, axes.get_ylim()[1] * (8 if run.windows else 1))
    axes.set_ylabel("orders (log above 10)")


def _waiting(axes: Axes, run: Run, columns: int, rows: list[Row], labels: dict[str, str], unit: str) -> None:
    for (name, label), colour in zip(labels.items(), LOADS, strict=False):
        style = "--" if name.startswith("orders ") else "-"
        _steps(axes, rows, name, columns, lw=1.3, ls=style, color=colour, label=label)
    axes.set_ylim(0, max(10, axes.get_ylim()[1] * (1.3 if run.windows else 1.1)))
    axes.set_ylabel(unit)


def _steps(axes: Axes, rows: Sequence[Row], name: str, columns: int, **style: Any) -> None:
    """Draw one column of a table over time, without steps too small to be seen; a gap where it is not known."""
    by_second = any("second" in row for row in rows)  # on a scale that shows small steps, too
    unseen = 0 if by_second else max((row.get(name, 0) for row in rows), default=0) / HEIGHT
    drawn: list[tuple[float, float]] = []
    for row in [*outline(rows[:-1], [name], columns), *rows[-1:]]:
        value = row.get(name, math.nan)
        if not drawn or row is rows[-1] or not abs(value - drawn[-1][1]) <= unseen:
            drawn.append((row.get("at", row.get("second")), value))
    if drawn:
        drawn.append((drawn[-1][0] + by_second, drawn[-1][1]))
        axes.step(*zip(*drawn, strict=True), where="post", **style)


def _by_quantile(axes: Axes, run: Run) -> None:
    title = f"Latency of the orders that were {latency.word_for_ok(run)}, by quantile"
    dashed = "; dashed: until they were notified" if run.asynchronous else ""
    axes.set_title(title + dashed, loc="left", fontsize=9)
    names = [name for name in latency.of_phases(run) if name != "warm"]
    for name, colour in zip(names, LOADS, strict=False):
        operations = [op for op in run.operations if op.phase == name]
        _quantiles(axes, [latency.latency(op) for op in operations if op.result == "ok"], "-", colour, name)
        if run.asynchronous:
            _quantiles(axes, [took for _, took in latency.completions(run, operations)], "--", colour, None)
    axes.set_yscale("log")
    axes.set_ylabel("seconds (log)")
    axes.set_xlabel("% of the orders within")
    axes.set_xlim(0, 100)
    _legend(axes)


def _quantiles(axes: Axes, found: list[float], style: str, colour: str, label: str | None) -> None:
    if found:
        values: list[Any] = latency.Latencies(found).quantiles(QUANTILES)  # none is None, as something was found
        axes.plot([100 * q for q in QUANTILES], values, style, color=colour, label=label)


def _shade(axes: Axes, run: Run, last: float) -> None:
    crowded = len(run.windows) > CROWDED
    rows, apart = (5, 0.05) if crowded else (3, 0.07)
    for n, window in enumerate(run.windows):
        axes.axvspan(window.since, last if window.until is None else window.until, color=FAULT, alpha=0.3, lw=0)
        text = f"{window.service}: {window.what}"
        if crowded and len(text) > MAX_LETTERS:
            text = f"{text[: MAX_LETTERS - 1]}…"
        place = (window.since, 1.0 - apart * (n % rows))
        axes.annotate(text, place, xycoords=("data", "axes fraction"), fontsize=6.5, va="top", xytext=(2, -2),
                      textcoords="offset points")  # fmt: skip


def _legend(axes: Axes) -> None:
    labels = axes.get_legend_handles_labels()[1]
    if labels:
        columns = 5 if sum(map(len, labels)) <= WIDE else 4
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.17), ncols=columns, fontsize=7.5, borderaxespad=0.6)
