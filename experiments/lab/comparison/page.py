"""The comparison as a page, and as a table for programs."""

from typing import Any

from lab.comparison.runs import MODELS
from lab.report import format

Figures = dict[str, Any]
NOT_IN_MATRIX = ("fault", "received", "connections")


def evidence(figures: Figures) -> str:
    """Return where the run that proves a cell is, seen from the comparison's folder."""
    return f"{figures['model']}/{figures['condition']}/report.md"


def write(summary: dict[str, Any]) -> str:
    """Return the page of the comparison."""
    found = {(f["condition"], f["model"]): f for f in summary["cells"]}
    return format.page("comparison/templates/report.md.j2", **summary, models=MODELS, found=found, evidence=evidence)


def as_csv(found: list[Figures]) -> str:
    """Return the matrix for programs: a line for each condition and model; `lost` and so on are counts."""
    lines = [{name: _plain(value) for name, value in f.items() if name not in NOT_IN_MATRIX} for f in found]
    return format.as_csv([line | {"evidence": evidence(f)} for line, f in zip(lines, found, strict=True)])


def _plain(value: Any) -> Any:
    if isinstance(value, dict):
        return "; ".join(f"{kind} {count}" for kind, count in value.items())
    return len(value) if isinstance(value, list) else value
