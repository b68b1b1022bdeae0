"""The comparison as a page, and as a table for programs."""

from typing import Any

from lab.comparison.runs import MODELS
from lab.report import format

Figures = dict[str, Any]
NONE = "—"
MAX_NAMED = 3
TOLD = {
    "201": "done",
    "202": "accepted",
    "409": "refused",
    "500": "the order service failed",
    "502": "inventory failed, nothing is kept",
    "503": "cannot be done now, nothing is kept",
    "504": "nobody knows yet, look again",
    "reset": "connection broken",
    "refused": "connection refused",
    "timeout": "no reply in time",
    "none": "no reply",
}
NOT_IN_MATRIX = ("fault", "received", "connections")


def evidence(figures: Figures) -> str:
    """Return where the run that proves a cell is, seen from the comparison's folder."""
    return f"{figures['model']}/{figures['condition']}/report.md"


def write(summary: dict[str, Any]) -> str:
    """Return the page of the comparison."""
    places = {
        f"runtime {e['runtime']}, {e['cores']} cores, {e['memory_gib']} GiB, {e['system']}"
        for e in summary["made_at"].values()
    }
    return format.page(
        "comparison/templates/report.md.j2",
        **summary,
        models=MODELS,
        found={(f["condition"], f["model"]): f for f in summary["cells"]},
        places=sorted(places),
        **{
            each.__name__.lstrip("_"): each
            for each in (_share, _recovery, _number, _number_of, _named, _told, evidence)
        },
    )


def _share(share: float | None) -> str:
    return NONE if share is None else f"{100 * share:.3g} %"


def _recovery(figures: Figures) -> str:
    """Return the time to recover in words."""
    if figures["fault"] is None:
        return NONE
    return format.shown_time(figures["recover_s"]) if figures["recovered"] else "never"


def _number(value: float | None) -> str:
    return NONE if value is None else f"{value:.3g}"


def _number_of(orders: list[str] | None) -> str:
    return "?" if orders is None else str(len(orders))


def _named(orders: list[str] | None) -> str:
    """Return how many, and the first of them by name."""
    names = ", ".join(orders[:MAX_NAMED]) + (" …" if len(orders) > MAX_NAMED else "") if orders else ""
    return f"{_number_of(orders)} ({names})" if orders else _number_of(orders)


def _told(figures: Figures) -> str:
    """Return what the clients were told, most often first."""
    counts = sorted(figures["told"].items(), key=lambda item: (-item[1], item[0]))
    words = {kind: (f"`{kind}` " if kind.isdigit() else "") + TOLD.get(kind, kind) for kind, _ in counts}
    return ", ".join(f"{count:,} × {words[kind]}" for kind, count in counts)


def as_csv(found: list[Figures]) -> str:
    """Return the matrix for programs: a line for each condition and model; `lost` and so on are counts."""
    lines = [{name: _plain(value) for name, value in f.items() if name not in NOT_IN_MATRIX} for f in found]
    return format.as_csv([line | {"evidence": evidence(f)} for line, f in zip(lines, found, strict=True)])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return "; ".join(f"{kind} {count}" for kind, count in value.items())
    return len(value) if isinstance(value, list) else value
