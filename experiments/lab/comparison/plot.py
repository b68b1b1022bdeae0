"""The picture of one condition: orders whose student was notified in each second, one panel for each model.

All panels have the same scales, so that they can be read against each other; what came is grey. The same figures give
the same bytes.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from lab.comparison.runs import MODELS, ComparedRun
from lab.history.model import Window
from lab.report import marks
from lab.report.colours import NOTE, NOTIFIED, WAITING
from lab.report.svg import STYLE, as_svg

LINEAR = 40  # orders/s; above, the scale is logarithmic
MARGIN = 1.3
PANEL_HEIGHT = 1.7


def draw(title: str, cells: Sequence[ComparedRun]) -> bytes:
    """Return the picture of a condition as SVG."""
    with plt.rc_context(STYLE):
        size = (9, PANEL_HEIGHT * len(cells) + 1.1)
        picture, places = plt.subplots(len(cells), 1, sharex=True, sharey=True, squeeze=False, figsize=size)
        came = [per_second([outcome.sent for outcome in cell.outcomes]) for cell in cells]
        done = [per_second(cell.done_at()) for cell in cells]
        sent = [outcome.sent for cell in cells for outcome in cell.outcomes]
        last = 1 + max([*sent, *(at for cell in cells for at in (*cell.done_at(), *(cell.fault or ())))], default=0)
        for axes, cell, *counts in zip(places[:, 0], cells, came, done, strict=True):
            marks.shade(axes, _windows(cell), last)
            _panel(axes, MODELS[cell.part], *counts)
        places[0, 0].set_xlim(0, last)
        places[0, 0].set_ylim(0, MARGIN * max(max(counts, default=1) for counts in came + done))
        places[-1, 0].set_xlabel("seconds since the load began")
        picture.suptitle(f"{title}: orders notified per second (log above {LINEAR})", fontsize=11)
        height = picture.get_figheight()
        picture.subplots_adjust(left=0.08, right=0.98, top=1 - 0.6 / height, bottom=0.5 / height, hspace=0.28)
        return as_svg(picture)


def per_second(times: Sequence[float]) -> list[int]:
    """Return how many of these times lie in each second from 0 on."""
    counts = Counter(map(int, times))
    return [counts[second] for second in range(max(counts, default=-1) + 1)]


def _panel(axes: Axes, title: str, came: list[int], done: list[int]) -> None:
    axes.stairs(came, fill=True, color=WAITING, alpha=0.4, lw=0)
    axes.stairs(done, color=NOTIFIED, lw=1.6)
    axes.set_yscale("symlog", linthresh=LINEAR)
    axes.yaxis.set_major_locator(plt.FixedLocator([0, 20, 40, 100, 300, 1000]))
    axes.yaxis.set_major_formatter(plt.FormatStrFormatter("%d"))
    axes.yaxis.set_minor_locator(plt.NullLocator())
    axes.set_ylabel("orders/s")
    axes.set_title(title, loc="left", fontsize=9, fontweight="bold")
    axes.set_title("line: notified; grey: ordered", loc="right", fontsize=7.5, color=NOTE)


def _windows(cell: ComparedRun) -> list[Window]:
    """Return what was done to services, in seconds since the load began."""
    began = cell.load["at"]
    ends = (None if w.until is None else w.until - began for w in cell.run.windows)
    return [replace(w, since=w.since - began, until=end) for w, end in zip(cell.run.windows, ends, strict=True)]
