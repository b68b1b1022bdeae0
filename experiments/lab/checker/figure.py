"""A number of a run that remembers from which figures it was computed, so that a report can show them."""

import functools
import inspect
import json
import math
from collections.abc import Callable, Iterable
from types import FunctionType
from typing import Any


class NotKnown(Exception):
    """A figure that the run does not have was compared, and the answer would mean nothing."""


class Figure(float):
    """A number, and the figures of the run that went into it. A figure that the run does not have is NaN."""

    sources: dict[str, float]

    def __new__(cls, value: float, sources: dict[str, float] | None = None) -> "Figure":
        """Make it of a value and the figures behind it, by what they are called."""
        new = super().__new__(cls, value)
        new.sources = sources or {}
        return new

    def computed(self, value: float, others: tuple[Any, ...]) -> "Figure":
        """Return the result of a computation with this one and others."""
        sources = dict(self.sources)
        for other in others:
            sources |= getattr(other, "sources", {})
        return Figure(value, sources)


class StandIn(Figure):
    """A figure before there is a run: always 1.0, whatever is computed with it, so that nothing divides by zero."""

    def computed(self, value: float, others: tuple[Any, ...]) -> "Figure":
        """Return 1.0."""
        return StandIn(1.0)


def _computing(name: str) -> Callable[..., Any]:
    plain = getattr(float, name)

    def apply(self: Figure, *others: Any) -> Any:
        try:
            value = plain(self, *others)
        except ArithmeticError:
            value = math.nan
        return value if value is NotImplemented else self.computed(value, others)

    return functools.wraps(plain)(apply)


def _comparing(name: str) -> Callable[..., Any]:
    plain = getattr(float, name)

    def apply(self: Figure, other: Any) -> Any:
        for value in (self, other):
            if isinstance(value, float) and math.isnan(value):
                raise NotKnown("it compares a figure that the run does not have: smallest() and largest() may")
        return plain(self, other)

    return functools.wraps(plain)(apply)


for _name in ("add", "sub", "mul", "truediv", "floordiv"):
    for _side in ("", "r"):
        setattr(Figure, f"__{_side}{_name}__", _computing(f"__{_side}{_name}__"))
for _name in ("neg", "abs"):
    setattr(Figure, f"__{_name}__", _computing(f"__{_name}__"))
for _name in ("lt", "le", "gt", "ge"):
    setattr(Figure, f"__{_name}__", _comparing(f"__{_name}__"))


def smallest(*values: float) -> Figure:
    """Return the smallest of some numbers; NaN if one of them is."""
    return _chosen(min, values)


def largest(*values: float) -> Figure:
    """Return the largest of some numbers; NaN if one of them is."""
    return _chosen(max, values)


def _chosen(choose: Callable[[Iterable[float]], float], values: tuple[Any, ...]) -> Figure:
    numbers = [float(value) for value in values]
    value = math.nan if any(map(math.isnan, numbers)) else choose(numbers)
    kind = StandIn if any(isinstance(value, StandIn) for value in values) else Figure
    return kind(value).computed(value, values)


def figure(method: FunctionType) -> Callable[..., Figure]:
    """Make a method of a view return a Figure: NaN where the run does not say, 1.0 where there is no run yet."""
    return _figure(method, lambda args: f"{method.__name__}({', '.join(map(_shown, args))})")


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
        return Figure(number, {f"{self.label}{named(given)}": number})

    return measured


def _shown(word: Any) -> str:
    return json.dumps(word, ensure_ascii=False) if isinstance(word, str) else f"{word:.6g}"
