"""What the benchmarks' reports share: a goal with its verdict, and the sections that are alike."""

from collections.abc import Sequence
from statistics import median
from typing import Any

from lab.report import table


def goal(name: str, wanted: str, measured: float, shown: str, good: bool) -> dict[str, Any]:
    """Return a goal with what was measured and whether it was reached."""
    return {
        "goal": name,
        "wanted": wanted,
        "value": round(measured, 4),
        "measured": shown,
        "verdict": "pass" if good else "fail",
    }


def not_measured(name: str, wanted: str) -> dict[str, Any]:
    """Return a goal of which nothing is known: that is no pass."""
    return {"goal": name, "wanted": wanted, "value": None, "measured": "–", "verdict": "unknown"}


def spread(ratios: Sequence[float]) -> str:
    """Return the median of ratios and how far the rounds lie apart."""
    return f"{median(ratios):.2f} (rounds: {min(ratios):.2f}–{max(ratios):.2f})"


def memory_section(samples: list[dict[str, Any]]) -> str:
    """Return the section on memory."""
    rows = [(s["service"], f"{s['mib']:.0f} MiB") for s in samples if s["what"] == "memory"]
    text = "Resident memory of a service's processes together, after the load (shared pages counted in each)."
    return f"## Memory\n\n{text}\n\n" + table(("service", "memory"), rows)


def cost_sections(samples: list[dict[str, Any]]) -> list[str]:
    """Return the section on processor time, if it was measured."""
    costs = {s["part"]: s["us"] for s in samples if s["what"] == "cost"}
    if not costs:
        return []
    rows = [(part, f"{us:.0f} µs") for part, us in costs.items()]
    return [
        "## Where the time goes\n\nProcessor time of each part alone, in one thread of one process, best of three. "
        "Under load the same work costs more: threads hand over the interpreter, and caches are shared.\n\n"
        + table(("part", "processor time"), rows)
    ]
