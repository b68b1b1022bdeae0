"""The reports of analytics: what they hold, and how two of them are compared."""

from collections import Counter
from collections.abc import Iterable, Iterator
from typing import Any

from campus.metrics import metrics, minute

from lab.history.model import Run

Report = dict[str, Any]
UNCOUNTED = ("generatedAtUnix", "digest")
MINUTES = "ordersPerMinuteBucket"


def of_orders(orders: Iterable[dict[str, Any]]) -> Report:
    """Return the report that these orders give, by their own timelines."""
    minutes: Counter[str] = Counter()
    verdicts: Counter[str] = Counter()
    for order in orders:
        minutes[minute(order["timeline"][0]["at"])] += 1
        verdicts.update(step["status"] for step in order["timeline"] if step["status"] in ("reserved", "failed"))
    return metrics(minutes, verdicts.total(), verdicts["failed"], now=0)


def flat(report: Report) -> dict[str, Any]:
    """Return every figure by its name, one for each minute: `{"totalOrdersSeen": 7, "2026-01-31T12:00": 7, …}`."""
    figures = {name: value for name, value in report.items() if name not in (*UNCOUNTED, MINUTES)}
    return figures | report.get(MINUTES, {})


def differences(one: Report, other: Report) -> list[str]:
    """Return the names of the figures that differ."""
    mine, theirs = flat(one), flat(other)
    return sorted(name for name in mine.keys() | theirs.keys() if mine.get(name) != theirs.get(name))


def reports(run: Run) -> dict[str, Report]:
    """Return the reports that were noted in a run, by their names, in order of time."""
    return {e["name"]: e["report"] for e in run.of_type("report")}


def replays(run: Run) -> Iterator[tuple[Report, Report]]:
    """Yield the reports before and after each replay of the whole log."""
    noted = run.of_type("report")
    for e in run.of_type("replay"):
        if e["to"] == "earliest" and e["group"].startswith("analytics"):
            before = [r["report"] for r in noted if r["name"] == "before replay" and r["at"] <= e["at"]]
            after = [r["report"] for r in noted if r["name"] == "after replay" and r["at"] <= e["at"]]
            yield from zip(before[-1:], after[-1:], strict=True)


def columns(rows: Iterable[Iterable[Any]]) -> list[str]:
    """Return rows as lines of text, each column as wide as it must be: no terminal may cut them."""
    cells = [[str(cell) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*cells, strict=True)]
    return ["  ".join(map(str.ljust, row, widths)).rstrip() for row in cells]


def compared(before: dict[str, Any], after: dict[str, Any]) -> list[str]:
    """Return two reports side by side, and whether they are the same, in lines."""
    names = [*(flat(before) | flat(after)), *UNCOUNTED]
    one, other = (before | flat(before), after | flat(after))
    lines = columns([("", "before", "after"), *((name, one.get(name), other.get(name)) for name in names)])
    differ = [name for name in names if one.get(name) != other.get(name) and name != "generatedAtUnix"]
    return [*lines, f"different: {', '.join(differ)}" if differ else "the same, by digest and in every number"]
