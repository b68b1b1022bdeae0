"""How a number came of the figures of a run: written with their names, with their values, and solved for the first."""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

BINDS = {"+": 1, "−": 1, "×": 2, "÷": 2, "//": 2}
# What the first part of a computation must be for its result, by symbol: result, the other parts → first part.
TURNED: dict[str, Callable[..., float]] = {
    "+": lambda result, other: result - other,
    "−": lambda result, other: result + other,
    "×": lambda result, other: result / other,
    "÷": lambda result, other: result * other,
}


@dataclass(frozen=True)
class Formula:
    """A figure of the run with its name, a constant without one, or a computation: a symbol and its parts."""

    value: float
    symbol: str = ""
    parts: tuple["Formula", ...] = ()
    name: str = ""

    def figures(self) -> Iterator["Formula"]:
        """Yield the figures of the run in it, in the order in which they are written."""
        if self.name:
            yield self
        for part in self.parts:
            yield from part.figures()

    def written(self, show: Callable[["Formula"], str]) -> str:
        """Return it as a person writes it; `show` says how a figure or a constant is shown."""
        return self._written(show)[0]

    def _written(self, show: Callable[["Formula"], str]) -> tuple[str, int]:
        if not self.symbol:
            return show(self), 3
        texts = [part._written(show) for part in self.parts]
        mine = BINDS.get(self.symbol)
        if mine is None or len(texts) == 1:
            return f"{self.symbol}({', '.join(text for text, _ in texts)})", 3
        (left, binds), (right, binds_right) = texts
        left = f"({left})" if binds < mine else left
        right = f"({right})" if binds_right <= mine else right
        return f"{left} {self.symbol} {right}", mine

    def solved(self, result: float) -> tuple[str, float] | None:
        """Return the first figure in it, and what that figure must be for this result; None where it cannot be said."""
        if self.name:
            return self.name, result
        if self.symbol not in TURNED or len(self.parts) != 2 or not any(self.parts[0].figures()):
            return None
        first, other = self.parts
        if not math.isfinite(other.value) or (self.symbol == "×" and not other.value):
            return None
        return first.solved(TURNED[self.symbol](result, other.value))


def of(value: Any) -> Formula:
    """Return the formula of a figure, or that of a constant."""
    return getattr(value, "formula", None) or Formula(float(value))


def named(leaf: Formula) -> str:
    """Show a figure of the run by its name, and a constant by its value."""
    return leaf.name or valued(leaf)


def valued(leaf: Formula) -> str:
    """Show a figure of the run, or a constant, by its value."""
    return "?" if math.isnan(leaf.value) else f"{leaf.value:,.6g}"
