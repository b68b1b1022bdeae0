"""A number of a run that remembers the formula by which it was computed, so that a report can show it."""

import functools
import inspect
import json
import math
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any

from lab.checker.formula import Formula, of


class NotKnown(Exception):
    """A figure that the run does not have was compared, and the answer would mean nothing."""


class Figure(float):
    """A number, and the formula by which it came of the run's figures. A figure that the run does not have is NaN."""

    formula: Formula

    def __new__(cls, value: float, formula: Formula | None = None) -> "Figure":
        """Make it of a value and its formula; without one it is a constant."""
        new = super().__new__(cls, value)
        new.formula = formula or Formula(float(value))
        return new

    def computed(self, symbol: str, value: float, parts: tuple[Any, ...]) -> "Figure":
        """Return the result of a computation: its parts in the order in which they are written."""
        return Figure(value, Formula(value, symbol, tuple(map(of, parts))))


class StandIn(Figure):
    """A figure before there is a run: always 1.0, whatever is computed with it, so that nothing divides by zero."""

    def computed(self, symbol: str, value: float, parts: tuple[Any, ...]) -> "Figure":
        """Return 1.0."""
        return StandIn(1.0)


def _computing(name: str, symbol: str) -> Callable[..., Any]:
    plain, turned = getattr(float, name), name.startswith("__r")

    def apply(self: Figure, *others: Any) -> Any:
        try:
            value = plain(self, *others)
        except ArithmeticError:
            value = math.nan
        if value is NotImplemented or (symbol == "+" and isinstance(others[0], int) and others[0] == 0):
            return value if value is NotImplemented else self  # a sum() begins with 0
        return self.computed(symbol, value, (*others, self) if turned else (self, *others))

    return functools.wraps(plain)(apply)


def _comparing(name: str) -> Callable[..., Any]:
    plain = getattr(float, name)

    def apply(self: Figure, other: Any) -> Any:
        for value in (self, other):
            if isinstance(value, float) and math.isnan(value):
                raise NotKnown("it compares a figure that the run does not have: smallest() and largest() may")
        return plain(self, other)

    return functools.wraps(plain)(apply)


for _name, _symbol in {"add": "+", "sub": "−", "mul": "×", "truediv": "÷", "floordiv": "//"}.items():
    for _side in ("", "r"):
        setattr(Figure, f"__{_side}{_name}__", _computing(f"__{_side}{_name}__", _symbol))
for _name, _symbol in {"neg": "−", "abs": "abs"}.items():
    setattr(Figure, f"__{_name}__", _computing(f"__{_name}__", _symbol))
for _name in ("lt", "le", "gt", "ge"):
    setattr(Figure, f"__{_name}__", _comparing(f"__{_name}__"))


def smallest(*values: float) -> Figure:
    """Return the smallest of some numbers; NaN if one of them is."""
    return _chosen("smallest", min, values)


def largest(*values: float) -> Figure:
    """Return the largest of some numbers; NaN if one of them is."""
    return _chosen("largest", max, values)


def _chosen(name: str, choose: Callable[[Iterable[float]], float], values: tuple[Any, ...]) -> Figure:
    numbers = [float(value) for value in values]
    value = math.nan if any(map(math.isnan, numbers)) else choose(numbers)
    kind = StandIn if any(isinstance(value, StandIn) for value in values) else Figure
    return kind(value).computed(name, value, values)


def figure(method: FunctionType) -> Callable[..., Figure]:
    """Make a method of a view return a Figure: NaN where the run does not say, 1.0 where there is no run yet."""
    return _figure(method, lambda args: f"{method.__name__}({', '.join(map(_shown, args))})")


def asked(method: Callable[..., Any]) -> Callable[..., Figure]:
    """Make a method of what a view looks at, which is its `seen`, a method of the view that returns a Figure."""
    of_seen: Any = functools.wraps(method)(lambda self, *args: method(self.seen, *args))
    return figure(of_seen)


class attribute:
    """A Figure as an attribute of a view: `ok = attribute(lambda self: …)`."""

    def __init__(self, method: Callable[[Any], float | None]) -> None:
        self._method = method

    def __set_name__(self, owner: type, name: str) -> None:
        self._figure = _figure(self._method, lambda _: name)

    def __get__(self, view: Any, owner: type) -> Figure:
        return self._figure(view)


def _figure(method: Callable[..., Any], named: Callable[[tuple[Any, ...]], str]) -> Callable[..., Figure]:
    signature = inspect.signature(method)

    @functools.wraps(method)
    def measured(self: Any, *args: Any, **options: Any) -> Figure:
        bound = signature.bind(self, *args, **options)  # a call that makes no sense is a mistake, with a run or without
        if self.stand_in:
            return StandIn(1.0)
        given = (*bound.args[1:], *bound.kwargs.values())
        value = None
        if not any(isinstance(word, float) and math.isnan(word) for word in given):
            try:
                value = method(self, *args, **options)
            except (LookupError, ValueError, ArithmeticError):  # no such load, a mean of nothing
                value = None
        number = math.nan if value is None else float(value)
        return Figure(number, Formula(number, name=f"{self.label}{named(given)}"))

    return measured


def _shown(word: Any) -> str:
    return json.dumps(word, ensure_ascii=False) if isinstance(word, str) else f"{word:.6g}"
