"""Figures as a person reads them, and tables of Markdown."""


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
