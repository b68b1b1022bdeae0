"""The picture of a run: its loads, latency over time, replies per second, what waited, latency by quantile.

The same raw files give the same bytes: no date, fixed ids, text as text. Of what lies too close to be told apart only
the outline is drawn: dots that touch become one stroke, and of a curve the highest and lowest value of each column.
Where nothing could be known, a curve has a gap.
"""

from collections.abc import Callable, Iterable
from itertools import pairwise

import matplotlib

matplotlib.use("svg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from lab.analysis import backlog, lag, latency
from lab.analysis.lag import LagSeries
from lab.growth import picture as growth
from lab.history.model import Run
from lab.report import colours, curves, marks
from lab.report.series import Row
from lab.report.svg import STYLE, as_svg

LABELS = {
    "ok": "done (2xx)",
    "fail": "refused (409, 502, 503, no connection)",
    "info": "outcome unknown (500, 504, no reply)",
}
ACCEPTED = {"ok": "accepted (202)"}
RESULTS = tuple(LABELS)
TITLES = {
    "latency": "Latency of each order, at the time when it was meant to be sent",
    "replies": "Replies per second, orders notified, and orders waiting for a reply",
    "depth": "Messages waiting in the queues and the outbox; dashed: orders, by their timelines",
    "lag": "Lag of each group: records that it has not read yet",
    "partitions": "Lag of inventory, a line for each partition of order-events",
}
WIDE = 100  # letters of a legend that fit into one line
MAX_BYTES = 60_000
COLUMNS = (400, 320, 250, 190, 140, 100, 70)  # the first that makes the picture small enough; 400 are 1.4 points wide
UNSEEN_SECONDS = 6.0  # the sampler notes each lag at least every 5 s: without a sample for longer, it was not known


def drawn(run: Run, predictions: list[marks.Prediction], *, coarse: bool = False) -> bytes:
    """Return the picture of a run as SVG, of at most 60 KB unless even the coarsest is larger.

    A coarse one, for a page of many, costs a third of the time, as no finer one is tried before it.
    """
    picture = b""
    with plt.rc_context(STYLE):
        if run.of_type("grown"):
            return as_svg(growth.drawn(run, colours.of_reader))
        for columns in COLUMNS[4:] if coarse else COLUMNS:
            picture = as_svg(_Picture(run, columns, predictions).drawn())
            if len(picture) <= MAX_BYTES:
                break
    return picture


class _Picture:
    """The picture of a run, each curve of which is drawn in so many columns."""

    def __init__(self, run: Run, columns: int, predictions: list[marks.Prediction]) -> None:
        self._run, self._columns, self._last = run, columns, _end(run)
        self._predicted = marks.Predictions(run, predictions, self._last)
        self._labels = LABELS | (ACCEPTED if run.asynchronous else {})
        # Where latency follows a delay, or a freeze that clients wait for, it is a line on a linear axis only.
        slow = ("delay" in w.what or (w.what == "frozen" and not run.asynchronous) for w in run.windows)
        self._linear = any(slow)

    def drawn(self) -> Figure:
        """Draw it."""
        run, end = self._run, self._last * 1.02
        panels = list(self._panels())
        picture, strip, places = _places(len(panels) + 1, marks.rows(run, end))
        marks.strip(strip, run, end)
        for (title, panel), axes in zip(panels, places, strict=False):
            panel(axes)
            axes.set_title(title, loc="left", fontsize=9)
            axes.set_xlim(0, end)
            axes.set_xlabel("seconds since the run began")
            for phase in run.phases:
                axes.axvline(phase["at"], color=colours.NOTE, lw=0.5, alpha=0.4, zorder=0)
            marks.shade(axes, run.windows, end)
            _legend(axes)
        self._by_quantile(places[-1])
        picture.suptitle(run.head["title"], fontsize=11, y=1 - 0.12 / picture.get_figheight(), va="top")
        return picture

    def _panels(self) -> Iterable[tuple[str, Callable[[Axes], None]]]:
        """Yield the title of each panel over time, and how it is drawn."""
        run = self._run
        yield TITLES["latency"], self._latency
        yield TITLES["replies"], self._replies
        if depths := backlog.depths(run):
            seen = dict.fromkeys(name for row in depths for name in row if name != "at")
            names = {name: name for name in seen if any(row.get(name) for row in depths)}
            yield TITLES["depth"], lambda axes: self._waiting(axes, "depth", depths, names, "messages, orders")
        if lags := _with_gaps(run, lag.rows(run)):
            groups = {group: group.removesuffix("-group") for group in lag.groups(run)}
            of = LagSeries(run, "inventory-consumer-group")
            partitions = {lag.name_of(of.group, partition): "" for partition in of.partitions}
            partitions |= {name: f"each of {len(partitions)} partitions" for name in list(partitions)[:1]}
            yield TITLES["lag"], lambda axes: self._waiting(axes, "lag", lags, groups, "records")
            yield TITLES["partitions"], lambda axes: self._waiting(axes, "partitions", lags, partitions, "records")

    def _latency(self, axes: Axes) -> None:
        run, width, groups = self._run, self._last / self._columns, []
        if run.asynchronous:
            groups.append((latency.completions(run, run.operations), colours.NOTIFIED, "notified"))
        for result in RESULTS:
            found = [(op, latency.latency(op)) for op in run.operations if op.result == result]
            groups.append((found, colours.RESULT[result], self._labels[result]))
        highest = max((took for found, _, _ in groups for _, took in found), default=1.0)
        for found, colour, label in groups:
            curves.dots(axes, found, width, colour, label, highest / curves.LINEAR_ROWS if self._linear else 0.0)
        self._predicted.draw("latency", axes)
        if self._linear:
            axes.set_ylim(0, axes.dataLim.y1 * (1.35 if run.windows else 1.05))  # room for the names of the faults
        else:
            axes.set_yscale("log")
            axes.set_ylim(top=axes.get_ylim()[1] * (20 if run.windows else 1))
        axes.set_ylabel("seconds" if self._linear else "seconds (log)")

    def _replies(self, axes: Axes) -> None:
        rows = latency.per_second(self._run)
        for result in (result for result in RESULTS if any(row[result] for row in rows)):
            curves.steps(axes, rows, result, self._columns, color=colours.RESULT[result], label=self._labels[result])
        curves.steps(axes, rows, "notified", self._columns, ls=":", color=colours.NOTIFIED, label="notified")
        label = "waiting at the second's end"
        curves.steps(axes, rows, "waiting", self._columns, lw=0.8, color=colours.WAITING, label=label)
        self._predicted.draw("replies", axes)
        axes.set_yscale("symlog", linthresh=10)
        axes.set_ylim(0, axes.get_ylim()[1] * (8 if self._run.windows else 1))
        axes.set_ylabel("orders (log above 10)")

    def _waiting(self, axes: Axes, panel: str, rows: list[Row], labels: dict[str, str], unit: str) -> None:
        for name, label in labels.items():
            style = "--" if name.startswith("orders ") else ":" if name.endswith(".dlq") else "-"
            style = "-." if name == "outbox" else style
            colour = colours.of_reader(name)
            curves.steps(axes, rows, name, self._columns, lw=1.3, ls=style, color=colour, label=label or None)
        self._predicted.draw(panel, axes)
        axes.set_ylim(0, max(10, axes.get_ylim()[1] * (1.3 if self._run.windows else 1.1)))
        axes.set_ylabel(unit)

    def _by_quantile(self, axes: Axes) -> None:
        run = self._run
        dashed = "; dashed: until they were notified" if run.asynchronous else ""
        title = f"Latency of the orders that were {latency.word_for_ok(run)}, by quantile{dashed}"
        axes.set_title(title, loc="left", fontsize=9)
        for name, marker in marks.markers(run).items():
            operations = [op for op in run.operations if op.phase == name and name != "warm"]
            done = [latency.latency(op) for op in operations if op.result == "ok"]
            curves.quantiles(axes, done, "-", colours.DONE, marker, name)
            if run.asynchronous:
                done = [took for _, took in latency.completions(run, operations)]
                curves.quantiles(axes, done, "--", colours.NOTIFIED, marker, None)
        self._predicted.draw("quantiles", axes)
        if not self._linear:
            axes.set_yscale("log")
        axes.set_ylabel("seconds" if self._linear else "seconds (log)")
        axes.set_xlabel("% of the orders within")
        axes.set_xlim(0, 101)
        _legend(axes)


def _places(panels: int, rows: int) -> tuple[Figure, Axes, list[Axes]]:
    """Return a picture with a strip of so many rows at its top and panels below it, in inches from above."""
    top, row, panel, below = 0.75, 0.16, 2.3, 1.1
    height = top + rows * row + panels * (panel + below) + 0.45
    picture = plt.figure(figsize=(9, height))

    def place(from_top: float, tall: float) -> Axes:
        return picture.add_axes((0.09, 1 - (from_top + tall) / height, 0.89, tall / height))

    first = top + rows * row + 0.4
    return picture, place(top, rows * row), [place(first + n * (panel + below), panel) for n in range(panels)]


def _with_gaps(run: Run, rows: list[Row]) -> list[Row]:
    """Return the samples with an empty one where nothing was known: the broker was away, or nothing was sampled."""
    away = [w.since for w in run.windows if w.service == "kafka" and marks.is_fault(w)]
    gaps = [row["at"] + UNSEEN_SECONDS for row, after in pairwise(rows) if after["at"] - row["at"] > UNSEEN_SECONDS]
    return sorted([*rows, *({"at": at} for at in (*away, *gaps) if rows)], key=lambda row: row["at"])


def _end(run: Run) -> float:
    """Return when the last thing happened that the picture shows."""
    last = max((op.ended or op.intended for op in run.operations), default=1.0)
    if run.asynchronous:
        last = max([last] + [op.intended + took for op, took in latency.completions(run, run.operations)])
    return max([last] + [sample["at"] + 1 for sample in run.of_type("lag") if sample["lag"]])


def _legend(axes: Axes) -> None:
    labels = axes.get_legend_handles_labels()[1]
    if labels:
        columns = 5 if sum(map(len, labels)) <= WIDE else 3
        axes.legend(loc="upper left", bbox_to_anchor=(0, -0.16), ncols=columns, fontsize=7.5, borderaxespad=0.6)
