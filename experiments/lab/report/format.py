"""Figures, predictions and verdicts as a person reads them; tables of Markdown and CSV."""

import csv
import io
from typing import Any

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


def table(columns: tuple[str, ...], rows: list[tuple[str, ...]]) -> str:
    """Return a Markdown table."""
    lines = ["| " + " | ".join(columns) + " |", "|" + "---|" * len(columns)]
    lines += ["| " + " | ".join(cell.replace("|", "\\|") for cell in row) + " |" for row in rows]
    return "\n".join(lines)


def verdict_sentence(summary: dict[str, Any]) -> str:
    """Return the verdict in a sentence."""
    predicted, invariants = summary["predictions"], summary["invariants"]
    good = sum(p["verdict"] == PASS for p in predicted)
    kept = sum(i["verdict"] == PASS for i in invariants)
    sent = sum(p["sent"] for p in summary["phases"].values())
    text = f"{good} of {len(predicted)} predictions hold, {kept} of {len(invariants)} invariants, over {sent:,} orders."
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


def as_csv(rows: list[dict[str, Any]]) -> str:
    """Return rows as CSV; a column for each name that one of them has."""
    out = io.StringIO()
    if rows:
        columns = dict.fromkeys(name for row in rows for name in row)
        writer = csv.DictWriter(out, columns, lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    return out.getvalue()
