"""The picture of a run: latency over time, replies per second, latency by quantile; disturbed times are shaded.

The same raw files give the same bytes: no date, fixed ids, text as text.
"""

import functools
import io
import math
import re
from collections.abc import Callable
from pathlib import Path

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.analysis import lag
from lab.analysis import latency as figures
from lab.analysis.lag import LagSeries
from lab.history.model import Operation, Run

COLOURS = {"ok": "#2b7a4b", "fail": "#c8502d", "info": "#7d4bb0", "notified": "#2a6fb0", "waiting": "#555555"}
LABELS = {"ok": "done (2xx)", "fail": "refused (4xx, 502, 503)", "info": "outcome unknown (500, 504, no reply)"}
ACCEPTED = {"ok": "accepted (202)"}
FAULT = "#f0c24b"
CROWDED, MOST_LETTERS = 6, 26  # more disturbances than that, and their names must be short
DECIMALS = re.compile(r"<text.*?</text>|\b(\d+\.\d\d)\d+\b", re.DOTALL)  # what is written in a picture stays
WIDE = 100  # letters of a legend that fit into one line
LOADS = ("#2a6fb0", "#c8502d", "#2b7a4b", "#7d4bb0", "#b08a2a", "#3aa0a0", "#a03a6b", "#555555")
STYLE = {
    "svg.hashsalt": "campus",
    "svg.fonttype": "none",
    "font.family": "DejaVu Sans",
    "font.size": 9,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.alpha": 0.25,
    "legend.frameon": False,
}


def draw(run: Run, path: Path) -> None:
    """Write the picture of a run as SVG."""
    with plt.rc_context(STYLE):
        over_time = [
            _latency_over_time,
            _per_second,
            *([_depths] if run.of_type("depth") else []),
            *([_lags, _partitions] if run.of_type("lag") else []),
        ]
        height = 3.5 * (len(over_time) + 1)
        picture, places = plt.subplots(len(over_time) + 1, 1, figsize=(9, height))
        last = _end(run)
        for draw_into, axes in zip(over_time, places, strict=False):
            draw_into(axes, run)
            axes.set_xlim(0, last * 1.02)
            _shade(axes, run, last)
        _by_quantile(places[-1], run)
        picture.suptitle(run.head["title"], fontsize=11)
        picture.subplots_adjust(left=0.09, right=0.98, top=0.93, bottom=0.08, hspace=0.5)
        path.write_bytes(as_svg(picture))


def as_svg(picture: Figure) -> bytes:
    """Return a picture as SVG and close it: to a hundredth of a point, as what is finer is half of the file."""
    out = io.StringIO()
    picture.savefig(out, format="svg", metadata={"Date": None, "Creator": None})
    plt.close(picture)
    return DECIMALS.sub(lambda found: found[1] or found[0], out.getvalue()).encode()


def _end(run: Run) -> float:
    """Return when the last thing happened that the picture shows."""
    last = max((op.ended or op.intended for op in run.operations), default=1.0)
    if run.asynchronous:
        last = max([last] + [op.intended + latency for op, latency in figures.completions(run, run.operations)])
    return max([last] + [sample["at"] + 1 for sample in run.of_type("lag") if sample["lag"]])


def _labels(run: Run) -> dict[str, str]:
    return LABELS | (ACCEPTED if run.asynchronous else {})


def _latency_over_time(axes: Axes, run: Run) -> None:
    axes.set_title("Latency of each order, at the time when it was meant to be sent", loc="left", fontsize=9)
    if run.asynchronous:
        _dots(axes, run, figures.completions(run, run.operations), "notified", "notified")
    for result in ("ok", "fail", "info"):
        found = [(op, figures.latency(op)) for op in run.operations if op.result == result]
        _dots(axes, run, found, result, _labels(run)[result])
    axes.set_yscale("log")
    axes.set_ylim(top=axes.get_ylim()[1] * (20 if run.windows else 1))  # room for the names of the faults
    axes.set_ylabel("seconds (log)")
    axes.set_xlabel("seconds since the run began")
    _legend(axes)


def _dots(axes: Axes, run: Run, found: list[tuple[Operation, float]], colour: str, label: str) -> None:
    """Draw each latency at the time of its order, on a grid finer than the dots: nothing visible is lost.

    Of a run that is one of many the grid is as fine as the dots: there, the pictures would be larger than all else.
    """
    place = _roughly if "place" in run.head else _nearly
    points = sorted({place(op.intended, max(latency, 1e-4)) for op, latency in found})
    if points:
        axes.plot(*zip(*points, strict=True), ".", ms=3, color=COLOURS[colour], label=label)


def _nearly(at: float, latency: float) -> tuple[float, float]:
    return round(at, 1), float(f"{latency:.2g}")


def _roughly(at: float, latency: float) -> tuple[float, float]:
    return round(2 * at) / 2, 10 ** (round(8 * math.log10(latency)) / 8)


def _per_second(axes: Axes, run: Run) -> None:
    axes.set_title("Replies per second, orders notified, and orders waiting for a reply", loc="left", fontsize=9)
    rows = figures.per_second(run)
    seconds = [row["second"] + 0.5 for row in rows]
    for result in ("ok", "fail", "info"):
        if any(row[result] for row in rows):
            values = [r[result] for r in rows]
            axes.step(seconds, values, where="mid", color=COLOURS[result], label=_labels(run)[result])
    axes.step(seconds, [r["notified"] for r in rows], where="mid", ls=":", color=COLOURS["notified"], label="notified")
    waiting = [r["waiting"] for r in rows]
    axes.step(seconds, waiting, where="mid", lw=0.8, color=COLOURS["waiting"], label="waiting at the second's end")
    axes.set_yscale("symlog", linthresh=10)
    axes.set_ylim(0, axes.get_ylim()[1] * (8 if run.windows else 1))
    axes.set_ylabel("orders (log above 10)")
    axes.set_xlabel("seconds since the run began")
    _legend(axes)


def _depths(axes: Axes, run: Run) -> None:
    axes.set_title(
        "Messages waiting in the queues and the outbox; dashed: orders, by their timelines", loc="left", fontsize=9
    )
    rows = figures.depths(run)
    names = dict.fromkeys(name for row in rows for name in row if name != "at")
    for name, colour in zip([n for n in names if any(row.get(n) for row in rows)], LOADS * 4, strict=False):
        values = [row.get(name, float("nan")) for row in rows]  # a gap where nobody could say
        style = "--" if name.startswith("orders ") else "-"
        axes.step([row["at"] for row in rows], values, style, where="post", lw=1.4, color=colour, label=name)
    axes.set_ylim(0, max(10, axes.get_ylim()[1] * (1.3 if run.windows else 1.1)))
    axes.set_ylabel("messages, orders")
    axes.set_xlabel("seconds since the run began")
    _legend(axes)


def _lags(axes: Axes, run: Run) -> None:
    axes.set_title("Lag of each group: records that it has not read yet", loc="left", fontsize=9)
    for group, colour in zip(lag.groups(run), LOADS, strict=False):
        series = LagSeries(run, group)
        _steps(axes, series.times, series.total, colour, group.removesuffix("-group"))
    _finish_lags(axes, run)


def _partitions(axes: Axes, run: Run) -> None:
    axes.set_title("Lag of inventory, by partition of order-events", loc="left", fontsize=9)
    series = LagSeries(run, "inventory-consumer-group")
    for partition, colour in zip(series.partitions, LOADS * 4, strict=False):
        _steps(axes, series.times, functools.partial(series.of, partition), colour, f"partition {partition[1]}")
    _finish_lags(axes, run)


def _steps(axes: Axes, times: list[float], value: Callable[[float], int], colour: str, label: str) -> None:
    axes.step(times, [value(at) for at in times], where="post", lw=1.2, color=colour, label=label)


def _finish_lags(axes: Axes, run: Run) -> None:
    axes.set_ylim(0, max(10, axes.get_ylim()[1] * (1.3 if run.windows else 1.1)))
    axes.set_ylabel("records")
    axes.set_xlabel("seconds since the run began")
    _legend(axes)


def _by_quantile(axes: Axes, run: Run) -> None:
    title = f"Latency of the orders that were {figures.word_for_ok(run)}, by quantile"
    dashed = "; dashed: until they were notified" if run.asynchronous else ""
    axes.set_title(title + dashed, loc="left", fontsize=9)
    quantiles = [n / 200 for n in range(1, 200)] + [0.999]
    names = [name for name in figures.of_phases(run) if name != "warm"]
    for name, colour in zip(names, LOADS * 4, strict=False):
        times = figures.Latencies(figures.latency(o) for o in run.operations if o.phase == name and o.result == "ok")
        if len(times):
            axes.plot([100 * q for q in quantiles], times.quantiles(quantiles), color=colour, label=name)
        if run.asynchronous:
            operations = [o for o in run.operations if o.phase == name]
            later = figures.Latencies(latency for _, latency in figures.completions(run, operations))
            if len(later):
                axes.plot([100 * q for q in quantiles], later.quantiles(quantiles), "--", color=colour)
    axes.set_yscale("log")
    axes.set_ylabel("seconds (log)")
    axes.set_xlabel("% of the orders within")
    axes.set_xlim(0, 100)
    _legend(axes)


def _shade(axes: Axes, run: Run, last: float) -> None:
    crowded = len(run.windows) > CROWDED
    rows, apart = (5, 0.05) if crowded else (3, 0.07)
    for n, window in enumerate(run.windows):
        until = window.until if window.until is not None else last
        axes.axvspan(window.since, until, color=FAULT, alpha=0.3, lw=0)
        place = (window.since, 1.0 - apart * (n % rows))
        text = f"{window.service}: {window.what}"
        if crowded and len(text) > MOST_LETTERS:
            text = f"{text[: MOST_LETTERS - 1]}…"
        axes.annotate(text, place, xycoords=("data", "axes fraction"), fontsize=6.5, va="top", xytext=(2, -2),
                      textcoords="offset points")  # fmt: skip


def _legend(axes: Axes) -> None:
    labels = axes.get_legend_handles_labels()[1]
    if labels:
        columns = 5 if sum(map(len, labels)) <= WIDE else 4
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.17), ncols=columns, fontsize=7.5, borderaxespad=0.6)
