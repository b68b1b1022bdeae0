"""Predictions: what a script expects, in a file of Python beside it, and whether the run kept to it.

A file holds a generator, `def predictions(run: Run)`, that yields `equals`, `at_least` or `at_most`. What `run` can be
asked is in `run_view` and `parts`. The file is run twice: before anything starts over a stand-in, whose numbers are all
1.0, so that a mistake is found at once; and over the finished run.
"""

import ast
import inspect
import math
import re
import traceback
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.checker import formula
from lab.checker.figure import largest, smallest
from lab.checker.run_view import Run
from lab.errors import LabError
from lab.history import model as history
from lab.paths import ROOT, relative
from lab.verdict import FAIL, PASS, UNKNOWN

__all__ = ["Run", "at_least", "at_most", "equals", "largest", "smallest"]

EXPERIMENTS = ROOT / "experiments"
ID = re.compile(r"[a-z0-9]+(-[a-z0-9]+)+")
TOLERANCE = re.compile(r"\d+(\.\d+)?%?")
CHANGED = "The predictions were changed after the run."
Judged = list[dict[str, Any]]


@dataclass(frozen=True)
class Prediction:
    """One expectation: the id by which it is known, a sentence for people, and both numbers."""

    id: str
    sentence: str
    measured: float
    predicted: float
    rule: str
    within: str
    unit: str

    def __post_init__(self) -> None:
        if not isinstance(self.id, str) or not ID.fullmatch(self.id):
            raise ValueError(
                f"{self.id!r} is no id: write words and numbers with hyphens between them, as b2-drain-rate"
            )
        for value in (self.measured, self.predicted):
            if not isinstance(value, int | float):
                raise TypeError(f"{value!r} is not a number")
        if not TOLERANCE.fullmatch(self.within):
            raise ValueError(f'{self.within} is no tolerance: write a number, or a percentage such as "3%"')

    def bounds(self) -> dict[str, float]:
        """Return what would pass: `predicted`, and the `low` and the `high` end of it, where there is one."""
        predicted, number = float(self.predicted), float(self.within.rstrip("%"))
        room = abs(predicted) * number / 100 if self.within.endswith("%") else number
        ends = {"low": predicted - room, "high": predicted + room}
        left_out = {"at least": "high", "at most": "low"}.get(self.rule)
        return {"predicted": predicted} | {name: end for name, end in ends.items() if name != left_out}

    def verdict(self) -> str:
        """Return `pass` or `fail`, and `unknown` where the run does not have one of the numbers."""
        measured, ends = float(self.measured), self.bounds()
        if math.isnan(measured) or math.isnan(ends["predicted"]):
            return UNKNOWN
        return PASS if ends.get("low", -math.inf) <= measured <= ends.get("high", math.inf) else FAIL


def equals(
    id: str, sentence: str, measured: float, predicted: float, *, within: float | str = 0, unit: str = ""
) -> Prediction:
    """Predict a number, exactly or `within` a distance, as 0.5, or a share of it, as "3%"."""
    return Prediction(id, sentence, measured, predicted, "equals", str(within), unit)


def at_least(id: str, sentence: str, measured: float, least: float, *, unit: str = "") -> Prediction:
    """Predict a number that is not smaller than `least`."""
    return Prediction(id, sentence, measured, least, "at least", "0", unit)


def at_most(id: str, sentence: str, measured: float, most: float, *, unit: str = "") -> Prediction:
    """Predict a number that is not larger than `most`."""
    return Prediction(id, sentence, measured, most, "at most", "0", unit)


def yielded(path: Path, text: str, run: Run) -> Iterator[tuple[Prediction, dict[str, Any]]]:
    """Yield each prediction of a file and how it is written. Raises LabError for a mistake, with file and line."""
    try:
        yield from _yielded(path, text, run)
    except Exception as error:
        frames = traceback.extract_tb(error.__traceback__)
        lines = [frame.lineno for frame in frames if frame.filename == str(path)]
        line = error.lineno if isinstance(error, SyntaxError) else next(reversed(lines), None)
        place = f"{relative(path)}{f', line {line}' if line else ''}"
        raise LabError(f"{place}: {type(error).__name__}: {error}", "correct this line and start again") from error


def _yielded(path: Path, text: str, run: Run) -> Iterator[tuple[Prediction, dict[str, Any]]]:
    names: dict[str, Any] = {"__name__": path.stem}
    exec(compile(text, str(path), "exec"), names)
    if "predictions" not in names:
        raise LookupError("there is no `def predictions(run: Run)`")
    found = names["predictions"](run)
    if not inspect.isgenerator(found):
        raise TypeError("predictions(run) yields nothing")
    seen: set[str] = set()
    for prediction in found:
        line = found.gi_frame.f_lineno
        if not isinstance(prediction, Prediction):
            found.throw(TypeError(f"{prediction!r} is no prediction: yield equals(…), at_least(…) or at_most(…)"))
        if prediction.id in seen:
            found.throw(ValueError(f"{prediction.id} is here twice"))
        seen.add(prediction.id)
        yield prediction, {"line": line} | _written(text, line) | _formulas(prediction)
    if not seen:
        raise ValueError("predictions(run) yields nothing")


def _written(text: str, line: int) -> dict[str, str]:
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Yield | ast.YieldFrom) and node.lineno == line and node.value:
            call = node.value
            parts = call.args[2:4] if isinstance(call, ast.Call) and len(call.args) == 4 else [call]
            texts = [" ".join((ast.get_source_segment(text, part) or "").split()) for part in parts]
            return dict(zip(("measure", "expect"), [*texts, ""], strict=False))
    return {"measure": "", "expect": ""}


def _formulas(prediction: Prediction) -> dict[str, Any]:
    """Return how both numbers came of the figures of the run, and where a plot can draw the prediction.

    A plot draws it as a value of the first figure that was measured: of "p50 ÷ p50 before is at most 2", twice the p50
    before, as a p50.
    """
    sources: dict[str, float] = {}
    formulas = {name: formula.of(getattr(prediction, name)) for name in ("measured", "predicted")}
    for each in formulas.values():
        sources |= {leaf.name: leaf.value for leaf in each.figures()}
    return {
        "formulas": {
            name: [each.written(formula.named), each.written(formula.valued)] for name, each in formulas.items()
        },
        "values": {name: _rounded(value) for name, value in sources.items()},
        "drawn": _drawn(formulas["measured"], prediction.bounds()),
    }


def _drawn(measured: formula.Formula, bounds: dict[str, float]) -> dict[str, Any] | None:
    """Return the first figure that was measured, and what the prediction says of it: `low`, `predicted`, `high`."""
    solved = {name: measured.solved(value) for name, value in bounds.items() if math.isfinite(value)}
    found = {name: of[1] for name, of in solved.items() if of and math.isfinite(of[1])}
    name = next((of[0] for of in solved.values() if of), "")
    return {"figure": name} | {name: _rounded(value) for name, value in found.items()} if found else None


def _rounded(value: float) -> float | None:
    return None if math.isnan(value) else round(float(value), 6)


def rehearse(script: Path, part: str, *, quick: bool, services: list[str]) -> str:
    """Run the predictions beside a script over a stand-in, and return their text. Raises LabError for a mistake."""
    path = script.with_suffix(".py")
    if not path.exists():
        raise LabError(f"there is no {relative(path)} with the predictions of {script.name}")
    frame = script.with_name("frame.sh")
    told = script.read_text() + (frame.read_text() if frame.exists() else "")
    names = {"load": re.findall(r"\blab load (\w+)", told), "service": services}
    text = path.read_text()
    list(yielded(path, text, Run.before(part, quick, names)))
    return text


def path_of(head: dict[str, Any]) -> Path | None:
    """Return this repository's own file of predictions for a run, if there is one, whatever the run says of its own."""
    folder = head.get("place", "").partition("/")[0]
    place = EXPERIMENTS / folder if folder in ("comparison", "broken") else EXPERIMENTS
    path = place / f"{head['experiment']}.py"
    return path if re.fullmatch(r"\w+", head["experiment"]) and path.exists() else None


def text_of(run: history.Run) -> str | None:
    """Return the predictions as they were when the run began; None if it does not say."""
    return next((e["text"] for e in run.of_type("predictions")), None)


def judge(run: history.Run, phases: dict[str, dict[str, Any]]) -> tuple[Judged, str]:
    """Return each prediction of a run with its verdict, and in a sentence why none can be judged, if so."""
    path, then = path_of(run.head), text_of(run)
    if path is None:
        return [], f"There is no file of predictions for {run.head['experiment']} here." if then is not None else ""
    text = path.read_text()
    changed = then not in (None, text)
    judged: Judged = []
    try:
        for prediction, written in yielded(path, text, Run(run, phases)):
            numbers = {name: _rounded(getattr(prediction, name)) for name in ("predicted", "measured")}
            verdict = UNKNOWN if changed else prediction.verdict()
            judged.append(asdict(prediction) | numbers | {"verdict": verdict} | written)
    except LabError as error:
        return judged, CHANGED if changed else f"Predictions after these cannot be judged: {error}."
    return judged, CHANGED if changed else ""
