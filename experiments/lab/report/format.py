"""Figures, predictions and verdicts as a person reads them; Markdown: tables, pages from templates."""

import csv
import io
import json
import re
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from lab.verdict import MARK, PASS


def shown_time(seconds: float | None) -> str:
    """Return a time with three digits: `3.21 ms`, `1.02 s`."""
    if seconds is None:
        return "–"
    if abs(seconds) < 1:
        return f"{1000 * seconds:.3g} ms" if abs(seconds) < 0.9995 else "1.00 s"
    return f"{seconds:.2f} s" if abs(seconds) < 100 else f"{seconds:.0f} s"


def shown_value(value: float | None, unit: str) -> str:
    """Return a value in its unit: `s` as a time, `%` as a percentage, anything else with four digits."""
    if value is None:
        return "–"
    if unit == "s":
        return shown_time(value)
    if unit == "%":
        return f"{100 * value:.1f} %"
    return f"{value:,.4g} {unit}".strip() if value < 10_000 else f"{value:,.0f} {unit}".strip()


def row(*cells: Any) -> str:
    """Return a line of a Markdown table; a count gets its commas, and what is not known is a dash."""
    return "| " + " | ".join(map(_cell, cells)) + " |"


def _cell(value: Any) -> str:
    text = "–" if value is None else f"{value:,}" if isinstance(value, int) else str(value)
    return text.replace("|", "\\|")


def head(*columns: str) -> str:
    """Return the first two lines of a Markdown table."""
    return f"{row(*columns)}\n|{'---|' * len(columns)}"


def table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    return "\n".join([head(*columns), *(row(*cells) for cells in rows)])


def orders_sent(summary: dict[str, Any]) -> int:
    """Return how many orders the clients of a run sent; fewer may exist."""
    return sum(p["sent"] for p in summary["phases"].values()) + summary.get("grown", 0)


def verdict_sentence(summary: dict[str, Any]) -> str:
    """Return the verdict in a sentence."""
    predicted, invariants = summary["predictions"], summary["invariants"]
    good = sum(p["verdict"] == PASS for p in predicted)
    kept = sum(i["verdict"] == PASS for i in invariants)
    hold = f"{good} of {len(predicted)} predictions hold, {kept} of {len(invariants)} invariants"
    text = f"{hold}, over {orders_sent(summary):,} orders."
    first = next((i["sentence"] for i in invariants if i["verdict"] != PASS), "")
    return " ".join(part for part in (text, summary.get("doubt"), first) if part)


def prediction_row(p: dict[str, Any]) -> tuple[str, ...]:
    """Return a prediction as people read it: the sentence, predicted, measured, verdict."""
    value = shown_value(p["predicted"], p["unit"])
    predicted = f"{value} ± {_tolerance(p)}" if p["rule"] == "equals" else f"{p['rule']} {value}"
    return p["sentence"], predicted, shown_value(p["measured"], p["unit"]), MARK[p["verdict"]]


def _tolerance(p: dict[str, Any]) -> str:
    relative = p["within"].endswith("%")
    if relative or p["unit"] != "%":
        return p["within"].replace("%", " %")
    return f"{100 * float(p['within']):g} points"


PAGES = Environment(
    loader=FileSystemLoader(Path(__file__).parents[1:3]),  # lab/, and experiments/ for the benchmarks
    trim_blocks=True,
    lstrip_blocks=True,
    undefined=StrictUndefined,
)
PAGES.filters |= {"time": shown_time, "s": "{:.1f} s".format, "g": "{:g}".format, "count": "{:,}".format}
_NAMES: dict[str, Any] = {
    "head": head,
    "row": row,
    "table": table,
    "mark": MARK,
    "verdict_sentence": verdict_sentence,
    "prediction_row": prediction_row,
}
PAGES.globals |= _NAMES


def page(template: str, **values: Any) -> str:
    """Return the page that a template below `lab/` or `experiments/` makes; several empty lines count as one."""
    return re.sub(r"\n{3,}", "\n\n", PAGES.get_template(template).render(values)).strip("\n") + "\n"


def as_json(value: Any) -> str:
    """Return JSON as the committed files have it."""
    return json.dumps(value, indent=1, ensure_ascii=False) + "\n"


def as_csv(rows: Sequence[Mapping[str, Any]]) -> str:
    """Return a table for programs, with a column for each name that any of the rows has."""
    out = io.StringIO()
    if rows:
        writer = csv.DictWriter(out, dict.fromkeys(name for line in rows for name in line), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return out.getvalue()
