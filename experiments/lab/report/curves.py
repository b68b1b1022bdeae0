"""The curves of a plot, drawn with few points: dots that touch are one stroke, steps too small to be seen are none."""

import math
from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from matplotlib.axes import Axes
from matplotlib.patches import PathPatch
from matplotlib.path import Path as MplPath

from lab.analysis import latency
from lab.history.model import Operation
from lab.report import colours
from lab.report.series import Row, outline

ROWS_A_DECADE, TOUCHING = 30, 2  # dots that are two rows apart touch: 1.6 points or less
LINEAR_ROWS = 150  # on a linear axis, up to the highest dot
HEIGHT = 300  # half points of a panel
QUANTILES = [n / 100 for n in range(1, 100)] + [0.995, 0.999]
MARKED = [4, 24, 49, 74, 89, 98]  # places of the quantiles that carry the marker of their load


def dots(
    axes: Axes, found: Iterable[tuple[Operation, float]], width: float, colour: str, label: str, row: float
) -> None:
    """Draw each latency as a dot at the time of its order; dots one above the other that touch are one stroke.

    `row` is the height of a dot on a linear axis, and 0 on a logarithmic one. Orders without success have square dots.
    """
    columns: dict[int, set[int]] = defaultdict(set)
    for op, took in found:
        place = took / row if row else ROWS_A_DECADE * math.log10(max(took, 1e-4))
        columns[round(op.intended / width)].add(round(place))
    ends = [
        (column * width, end * row if row else 10 ** (end / ROWS_A_DECADE))
        for column, rows in sorted(columns.items())
        for stroke in strokes(sorted(rows))
        for end in stroke
    ]
    if ends:
        shape = MplPath(ends, [MplPath.MOVETO, MplPath.LINETO] * (len(ends) // 2))
        square = colour in (colours.REFUSED, colours.OPEN)
        style: Any = {"lw": 2.8, "capstyle": "projecting"} if square else {"lw": 2.2, "capstyle": "round"}
        axes.add_patch(PathPatch(shape, fill=False, edgecolor=colour, zorder=3 if square else 2, **style))
        axes.plot([], [], "s" if square else "o", ms=3, color=colour, label=label)


def strokes(rows: list[int]) -> list[tuple[int, int]]:
    """Return the first and the last row of each stretch of dots that touch."""
    ends = [-1, *(n for n, (one, other) in enumerate(pairwise(rows)) if other > one + TOUCHING), len(rows) - 1]
    return [(rows[before + 1], rows[end]) for before, end in pairwise(ends)]


def steps(axes: Axes, rows: Sequence[Row], name: str, columns: int, **style: Any) -> None:
    """Draw one column of a table over time, without steps too small to be seen; a gap where it is not known."""
    by_second = any("second" in row for row in rows)  # on a scale that shows small steps, too
    unseen = 0 if by_second else max((row.get(name, 0) for row in rows), default=0) / HEIGHT
    drawn: list[tuple[float, float]] = []
    gaps = [row for before, row in pairwise(rows) if name in before and name not in row]
    kept = sorted([*outline(rows[:-1], [name], columns), *gaps], key=lambda row: row.get("at", row.get("second")))
    for row in [*kept, *rows[-1:]]:
        value = row.get(name, math.nan)
        if not drawn or row is rows[-1] or not abs(value - drawn[-1][1]) <= unseen:
            drawn.append((row.get("at", row.get("second")), value))
    if drawn:
        drawn.append((drawn[-1][0] + by_second, drawn[-1][1]))
        axes.step(*zip(*drawn, strict=True), where="post", **style)


def quantiles(axes: Axes, found: list[float], style: str, colour: str, marker: str, label: str | None) -> None:
    if found:
        values: list[Any] = latency.quantiles(found, QUANTILES)  # none is None, as something was found
        at = [100 * q for q in QUANTILES]
        axes.plot(at, values, style, marker=marker, markevery=MARKED, ms=4, lw=1.2, color=colour, label=label)
