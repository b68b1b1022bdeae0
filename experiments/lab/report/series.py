"""The series of a run as tables: completions, depths, lag; and fewer rows of them that show the same."""

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any

from lab.analysis import backlog, lag, latency
from lab.history.model import Run

Row = dict[str, Any]
TABLES = {"completions": latency.per_second, "depth": backlog.depths, "lag": lag.rows}
MAX_ROWS = 1000  # of a table that a person opens


def names(run: Run) -> list[str]:
    """Return the names of a run's tables."""
    return [name for name in TABLES if name == "completions" or run.of_type(name)]


def tables(run: Run) -> dict[str, list[Row]]:
    """Return each table by its name, of at most 1,000 rows."""
    return {name: few(TABLES[name](run)) for name in names(run)}


def few(rows: list[Row]) -> list[Row]:
    """Return all rows, or of very many an outline of each column."""
    names = list(dict.fromkeys(name for row in rows for name in row))[1:]
    return rows if len(rows) <= MAX_ROWS else outline(rows, names, MAX_ROWS // (2 * len(names)))


def outline(rows: Sequence[Row], names: Iterable[str], stretches: int) -> list[Row]:
    """Return, of each of so many stretches, the rows in which one of these columns is highest or lowest."""
    kept: set[int] = set()
    edges = [len(rows) * n // stretches for n in range(stretches + 1)]
    for first, last in pairwise(edges):
        for name in names:
            known = [n for n in range(first, last) if name in rows[n]]
            kept |= {choose(known, key=lambda n: rows[n][name]) for choose in (min, max) if known}
    return [rows[n] for n in sorted(kept)]
