"""What a plot of a run marks besides what was measured: its loads, what was done to services, and the predictions."""

import math
import re
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import Any

from matplotlib.axes import Axes

from lab.analysis.backlog import Backlog
from lab.analysis.lag import LagSeries
from lab.checker.parts import SETTING
from lab.history.model import Run, Window
from lab.report.colours import FAULT, NOTE, PREDICTED

MARKERS = "os^DvPX*<>hd"
CONFIGURATION = {"timeout", "seed", "expires_in"}  # what a service is told without being hurt
CROWDED, MAX_LETTERS = 6, 26  # more disturbances than that, and their names must be short
LETTER = 0.0072  # of the width of a panel, that a letter of a name takes
FIGURE = re.compile(r'(?:(\w+)\("([^"]*)"\)\.)?(\w+)(?:\((.*)\))?')
OF_ORDERS = ("percentile", "completed", "error_latency", "longest", "mean")  # latencies of a load
BY_QUANTILE = ("percentile", "completed")
IN_TURN = 8.0  # s, in which a script does the same to all replicas
POINTS = {"at most": "v", "at least": "^", "equals": "D"}
# How the name of a prediction is written: on white, so that no line runs through it.
BEHIND = {"boxstyle": "square,pad=0.15", "fc": "white", "alpha": 0.85, "lw": 0}
NAME: dict[str, Any] = {"fontsize": 6, "color": PREDICTED, "textcoords": "offset points", "bbox": BEHIND, "zorder": 6}
Prediction = dict[str, Any]


def markers(run: Run) -> dict[str, str]:
    """Return the marker of each load, in order of time."""
    return {phase["phase"]: MARKERS[n % len(MARKERS)] for n, phase in enumerate(run.phases)}


def rows(run: Run, width: float) -> int:
    """Return how many rows the strip of loads needs."""
    return 1 + max(_in_rows(_of_loads(run, width)), default=0)


def strip(axes: Axes, run: Run, width: float) -> None:
    """Draw each load as a bar with its marker and its name, in rows so that no name covers another."""
    for row, phase in zip(_in_rows(_of_loads(run, width)), run.phases, strict=True):
        began = phase["at"]
        axes.plot([began, phase["until"]], [-row, -row], color=NOTE, lw=6, alpha=0.35, solid_capstyle="butt")
        axes.plot([began + 0.006 * width], [-row], markers(run)[phase["phase"]], ms=3.5, color=NOTE)
        axes.annotate(phase["phase"], (began + 0.013 * width, -row), fontsize=6.5, va="center")
    axes.set_ylim(0.5 - rows(run, width), 0.5)
    axes.set_title("Loads", loc="left", fontsize=9)
    axes.axis("off")
    axes.set_xlim(0, width)


def _of_loads(run: Run, width: float) -> list[tuple[float, float]]:
    """Return from where to where the strip of loads is taken by each."""
    names = ((phase, (len(phase["phase"]) + 3) * LETTER * width) for phase in run.phases)
    return [(phase["at"], max(phase["until"], phase["at"] + name)) for phase, name in names]


def _in_rows(spans: Iterable[tuple[float, float]]) -> list[int]:
    """Return for each span the first row in which it covers no span before it."""
    ends, chosen = list[float](), list[int]()
    for begin, end in spans:
        row = next((n for n, before in enumerate(ends) if before <= begin), len(ends))
        ends[row : row + 1] = [end]
        chosen.append(row)
    return chosen


def is_fault(window: Window) -> bool:
    """Return whether something was done to a service that hurts it; else it was only configured."""
    return not set(SETTING.findall(window.what)) <= CONFIGURATION


def shade(axes: Axes, windows: Sequence[Window], last: float) -> None:
    """Shade the times in which a service was disturbed, and name them; a setting that is no fault is only named."""
    for since, until in _united((w.since, last if w.until is None else w.until) for w in windows if is_fault(w)):
        axes.axvspan(since, until, color=FAULT, alpha=0.3, lw=0)
    windows = _of_replicas(windows)
    names = [f"{window.service}: {window.what}" for window in windows]
    if len(names) > CROWDED:
        names = [name if len(name) <= MAX_LETTERS else f"{name[: MAX_LETTERS - 1]}…" for name in names]
    wide = [(len(name) + 1) * LETTER * last for name in names]
    begins = [min(window.since, last - width) for window, width in zip(windows, wide, strict=True)]  # none is cut off
    places = _in_rows((begin, begin + width) for begin, width in zip(begins, wide, strict=True))
    apart = min(0.07, 0.28 / (1 + max(places, default=0)))
    for window, name, begin, row in zip(windows, names, begins, places, strict=True):
        place: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "textcoords": "offset points", "va": "top"}
        colour = "black" if is_fault(window) else NOTE
        axes.annotate(name, (begin, 1.0 - apart * row), xytext=(2, -2), fontsize=6.5, color=colour, **place)


def _united(spans: Iterable[tuple[float, float]]) -> list[tuple[float, float]]:
    """Return the spans with those that overlap as one: shaded twice, the curves would not be seen."""
    found = list[tuple[float, float]]()
    for since, until in sorted(spans):
        if found and since <= found[-1][1]:
            since, until = found[-1][0], max(until, found.pop()[1])
        found.append((since, until))
    return found


def _of_replicas(windows: Sequence[Window]) -> list[Window]:
    """Return the windows with those of replicas to which the same was done in turn as one, named after all of them."""
    found = list[Window]()
    numbers: list[list[str]] = []
    for window in windows:
        kind, dot, number = window.service.partition(".")
        same = (n for n, other in enumerate(found) if _done_in_turn(other, kind, window) and number not in numbers[n])
        if not dot or (n := next(same, None)) is None:
            found.append(replace(window, service=kind))
            numbers.append([])
            n = -1
        else:
            found[n] = replace(found[n], until=window.until)
        numbers[n] += [number] * bool(dot)
    return [replace(window, service=window.service + _range(all)) for window, all in zip(found, numbers, strict=True)]


def _range(numbers: list[str]) -> str:
    """Return the numbers of replicas as they stand after the name of their service: `.2`, `.2–4` or `.1, 3`."""
    row = sorted(map(int, numbers))
    if len(row) > 1 and row[-1] - row[0] == len(row) - 1:
        return f".{row[0]}–{row[-1]}"
    return "." * bool(row) + ", ".join(map(str, row))


def _done_in_turn(one: Window, kind: str, other: Window) -> bool:
    return (one.service, one.what) == (kind, other.what) and other.since - one.since < IN_TURN


class Predictions:
    """Draws the predictions of a run in the panels that show what they speak of."""

    def __init__(self, run: Run, judged: list[Prediction], last: float) -> None:
        self._run, self._last = run, last
        self._found = [(p, *_figure(p["drawn"]["figure"])) for p in judged if p.get("drawn")]
        planned = {p["phase"]: p["at"] + p["params"].get("seconds", p["until"]) for p in run.phases}
        self._loads = {p["phase"]: (p["at"], min(p["until"], planned[p["phase"]])) for p in run.phases}
        self._labelled: set[Axes] = set()
        self._named: Counter[tuple[Axes, float]] = Counter()

    def draw(self, panel: str, axes: Axes) -> None:
        """Draw those that a panel shows: "latency", "replies", "depth", "lag" or "quantiles"."""
        for p, view, name, what, args in self._found:
            match panel, view:
                case "latency", "load" if what in OF_ORDERS and name in self._loads:
                    self._latency(axes, p, name, what, args)
                case "latency", "load" if what in ("first_ok", "last_notified"):
                    self._moment(axes, p)
                case "replies", "load" if what in ("achieved", "completed_rate") and name in self._loads:
                    self._level(axes, p, *self._loads[name])
                case "replies", "backlog" if what == "rate" and not any(map(math.isnan, args)):
                    self._level(axes, p, *args)
                case "depth", "backlog":
                    self._on_series(axes, p, what, args, Backlog(self._run, name).at)
                case "depth", _ if what == "queue_peak":
                    self._level(axes, p, *args)
                case "lag", "lag":
                    series = LagSeries(self._run, f"{name}-consumer-group")
                    self._on_series(axes, p | {"id": f"{p['id']} (of {name})"}, what, args, series.at)
                case "lag", "backlog" if what == "drained":
                    self._moment(axes, p)
                case "quantiles", "load" if what == "longest" or (what in BY_QUANTILE and len(args) == 1):
                    self._quantile(axes, p, 100 * (args[0] if args else 1.0))

    def _latency(self, axes: Axes, p: Prediction, load: str, what: str, args: list[float]) -> None:
        """Draw a latency over the time of its load, but for a quantile: that stands where its curve is."""
        if what not in BY_QUANTILE or len(args) != 1 or args[0] == 0.5:
            began, ended = self._loads[load]
            since, until = (args[1], args[2]) if what == "percentile" and len(args) == 3 else (began, ended)
            self._level(axes, p, max(since, began), min(until, ended))

    def _quantile(self, axes: Axes, p: Prediction, q: float) -> None:
        """Draw a quantile of a load where its curve should pass."""
        of = p["drawn"]
        axes.plot([q, q], [of.get(end, of["predicted"]) for end in ("low", "high")], color=PREDICTED, lw=1, zorder=4)
        style: dict[str, Any] = {"ms": 6, "mfc": "none", "color": PREDICTED, "zorder": 4}
        axes.plot([q], [of["predicted"]], POINTS[p["rule"]], label=self._label(axes), **style)

    def _on_series(self, axes: Axes, p: Prediction, what: str, args: list[float], at: Callable[[float], float]) -> None:
        if what == "peak":
            self._level(axes, p, 0, self._last)
        elif what == "at":
            self._level(axes, p, args[0] - 0.02 * self._last, args[0] + 0.02 * self._last)
        elif what == "growth":
            since, until = args
            ends = [at(since), at(since) + p["drawn"]["predicted"] * (until - since)]
            axes.plot([since, until], ends, "--", color=PREDICTED, lw=1.2, zorder=4, label=self._label(axes))
            self._name(axes, p, (since + until) / 2, sum(ends) / 2)
        elif what in ("drained", "resumed"):
            self._moment(axes, p)

    def _level(self, axes: Axes, p: Prediction, since: float, until: float) -> None:
        of = p["drawn"]
        if p["rule"] == "equals" and of["high"] > of["low"]:
            axes.fill_between([since, until], of["low"], of["high"], color=PREDICTED, alpha=0.2, lw=0, zorder=1)
        marker = None if p["rule"] == "equals" else POINTS[p["rule"]]
        style: dict[str, Any] = {"marker": marker, "ms": 4, "lw": 1.2, "color": PREDICTED, "zorder": 4}
        axes.plot([since, until], [of["predicted"]] * 2, "--", label=self._label(axes), **style)
        self._name(axes, p, since, of.get("high", of["predicted"]) if p["rule"] == "equals" else of["predicted"])

    def _moment(self, axes: Axes, p: Prediction) -> None:
        """Draw when something must have happened."""
        at = p["drawn"]["predicted"]
        axes.axvline(at, ls="--", lw=1, color=PREDICTED, zorder=4, label=self._label(axes))
        place: dict[str, Any] = {"xycoords": ("data", "axes fraction"), "rotation": 90, "va": "center"}
        axes.annotate(p["id"], (at, 0.5), xytext=(2, 0), **place, **NAME)

    def _name(self, axes: Axes, p: Prediction, since: float, value: float) -> None:
        above = 3 + 8 * self._named[axes, value]  # of two at the same value, one stands above the other
        self._named[axes, value] += 1
        right = since > 0.8 * self._last
        place: dict[str, Any] = {"xytext": (-2 if right else 2, above), "ha": "right" if right else "left"}
        axes.annotate(p["id"], (since, value), va="bottom", **place, **NAME)

    def _label(self, axes: Axes) -> str | None:
        new = axes not in self._labelled
        self._labelled.add(axes)
        return "predicted (▾ at most, ▴ at least)" if new else None


def _figure(name: str) -> tuple[str, str, str, list[float]]:
    """Return what a figure asks: `load("a").percentile(0.5)` is ("load", "a", "percentile", [0.5])."""
    found = FIGURE.fullmatch(name)
    view, of, what, args = found.groups() if found else ("", "", "", "")
    numbers = [word.strip() for word in re.sub(r'"[^"]*"', "", args or "").split(",")]
    return view or "", of or "", what, [float(word) for word in numbers if word]
