"""The picture of one condition: orders that were completed in each second, one panel for each model.

All panels have the same scales, so that they can be read against each other; what came is grey. The same figures give
the same bytes.
"""

from collections.abc import Sequence
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes

from lab.comparison.runs import MODELS, ComparedRun
from lab.report.colours import FAULT
from lab.report.svg import STYLE, as_svg

# Of Okabe and Ito: also apart for the colour-blind, and in print by their brightness.
COLOURS = {"sync-rest": "#0072B2", "async-rabbitmq": "#D55E00", "streaming-kafka": "#009E73"}
LINEAR = 40  # orders/s; above, the scale is logarithmic
MARGIN = 1.3
PANEL_HEIGHT = 1.7


def draw(title: str, cells: Sequence[ComparedRun]) -> bytes:
    """Return the picture of a condition as SVG."""
    with plt.rc_context(STYLE):
        shape: dict[str, Any] = {
            "sharex": True,
            "sharey": True,
            "squeeze": False,
            "figsize": (9, PANEL_HEIGHT * len(cells) + 1.1),
        }
        picture, places = plt.subplots(len(cells), 1, **shape)
        for axes, cell in zip(places[:, 0], cells, strict=True):
            _panel(axes, cell)
        places[0, 0].set_xlim(0, max(max(_seconds(cell), default=0) for cell in cells) + 1)
        places[0, 0].set_ylim(0, MARGIN * max(max(_came(cell) + _done(cell), default=1) for cell in cells))
        places[-1, 0].set_xlabel("seconds since the load began")
        picture.suptitle(f"{title}: orders completed per second (log above {LINEAR})", fontsize=11)
        height = picture.get_figheight()
        picture.subplots_adjust(left=0.08, right=0.98, top=1 - 0.6 / height, bottom=0.5 / height, hspace=0.28)
        return as_svg(picture)


def per_second(times: Sequence[float]) -> list[int]:
    """Return how many of these times lie in each second from 0 on."""
    counts = [0] * (max(map(int, times), default=-1) + 1)
    for at in times:
        counts[int(at)] += 1
    return counts


def _seconds(cell: ComparedRun) -> list[float]:
    return [*cell.done_at(), *(outcome.sent for outcome in cell.outcomes), *(cell.fault or ())]


def _came(cell: ComparedRun) -> list[int]:
    return per_second([outcome.sent for outcome in cell.outcomes])


def _done(cell: ComparedRun) -> list[int]:
    return per_second(cell.done_at())


def _panel(axes: Axes, cell: ComparedRun) -> None:
    if cell.fault:
        axes.axvspan(*cell.fault, color=FAULT, alpha=0.3, lw=0)
    axes.stairs(_came(cell), fill=True, color="#bbbbbb", alpha=0.6, lw=0)
    axes.stairs(_done(cell), color=COLOURS[cell.part], lw=1.6)
    axes.set_yscale("symlog", linthresh=LINEAR)
    axes.yaxis.set_major_locator(plt.FixedLocator([0, 20, 40, 100, 300, 1000]))
    axes.yaxis.set_major_formatter(plt.FormatStrFormatter("%d"))
    axes.yaxis.set_minor_locator(plt.NullLocator())
    axes.set_title(MODELS[cell.part], loc="left", fontsize=9, color=COLOURS[cell.part], fontweight="bold")
    axes.set_title(_legend(cell), loc="right", fontsize=7.5, color="#555555")


def _legend(cell: ComparedRun) -> str:
    shaded = "; shaded: disturbed" if cell.fault else ""
    return f"line: completed; grey: ordered{shaded}"
