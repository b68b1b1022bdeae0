"""The picture of a run that sent ever more orders: what an order costs, memory, stores and queries, by their number."""

from collections.abc import Callable
from typing import Any

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from lab.history.model import Run

PANELS = {
    "processor": ("Processor time of an order", "µs", lambda size, value: 1e6 * value / size["orders"]),
    "memory": ("Memory", "MiB", lambda size, value: value),
    "store": ("Store", "KiB an order", lambda size, value: 1024 * value / size["total"]),
}
TIMES = {
    "page": "a page of orders",
    "status": "a page of orders in one state",
    "work": "its processor time",
    "settling": "to see that all is done",
}


def drawn(run: Run, colour_of: Callable[[str], str]) -> Figure:
    """Return the picture; each service has a colour."""
    sizes = run.of_type("grown")
    figure, places = plt.subplots(len(PANELS) + 1, figsize=(9, 3.1 * (len(PANELS) + 1)), layout="constrained")
    for axes, (name, (title, unit, of)) in zip(places, PANELS.items(), strict=False):
        for service in dict.fromkeys(service for size in sizes for service in size[name]):
            points = [(size["total"], of(size, size[name][service])) for size in sizes if service in size[name]]
            _line(axes, points, service, color=colour_of(service))
        _label(axes, f"{title}, by orders so far", unit)
    for name, label in TIMES.items():
        _line(places[-1], [(size["total"], 1000 * size[name]) for size in sizes], label)
    places[-1].set_yscale("log")
    places[-1].yaxis.set_major_formatter(LogFormatter())
    places[-1].yaxis.set_minor_formatter(LogFormatter(minor_thresholds=(1, 0.5)))  # 2, 3 …, where there is room
    _label(places[-1], "95 % of the queries came within, and one look whether all is done", "ms (log)")
    figure.suptitle(run.head["title"], fontsize=11)
    return figure


def _line(axes: Axes, points: list[tuple[float, float]], label: str, **style: Any) -> None:
    axes.plot(*zip(*points, strict=True), marker="o", ms=3.5, lw=1.2, label=label, **style)


def _label(axes: Axes, title: str, unit: str) -> None:
    axes.set_title(title, loc="left", fontsize=9)
    axes.set_xscale("log")
    axes.set_xlabel("orders (log)")
    axes.set_ylabel(unit)
    linear, highest = axes.get_yscale() == "linear", axes.get_ylim()[1]
    axes.set_ylim(bottom=0 if linear else None, top=highest * (1.15 if linear else 2))  # above the curves: their names
    axes.legend(fontsize=7.5, ncols=5, loc="upper right")
