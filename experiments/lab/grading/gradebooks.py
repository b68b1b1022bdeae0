"""Grades as the tables that Canvas and Moodle import, and as Gradescope's results.json."""

import csv
import io
import json
from collections.abc import Iterable, Sequence
from pathlib import PurePath

from lab.grading.findings import Grade
from lab.verdict import FAIL, MARK_IN_A_GRADE, PASS, UNKNOWN

PLAIN = ("folder", "points", "of", "failed", "cannot tell", "notices")
KINDS = ("plain", "canvas", "moodle")
FORMULA = ("=", "+", "-", "@")  # with which a cell begins that a spreadsheet computes


def as_csv(grades: Sequence[Grade], kind: str) -> str:
    """Return the table of a class: ours, or the one that a course system imports."""
    out = io.StringIO()
    writer = csv.writer(out, lineterminator="\n")
    rows = ROWS[kind](grades)
    writer.writerows([f"'{cell}" if cell.startswith(FORMULA) else cell for cell in row] for row in rows)
    return out.getvalue()


def _plain(grades: Iterable[Grade]) -> Iterable[Sequence[str]]:
    yield PLAIN
    for grade in grades:
        points = [_points(grade), "" if grade.fault else f"{grade.points():g}"]
        yield [grade.folder, *points, _ids(grade, FAIL), _ids(grade, UNKNOWN), " | ".join(grade.notices)]


def _canvas(grades: Sequence[Grade]) -> Iterable[Sequence[str]]:
    """Yield the columns without which Canvas imports no grades; it finds a student by the login."""
    yield ["Student", "ID", "SIS User ID", "SIS Login ID", "Section", "Communication models"]
    yield ["    Points Possible", "", "", "", "", f"{max((grade.points() for grade in grades), default=0):g}"]
    yield from (["", "", "", _login(grade), "", _points(grade)] for grade in grades)


def _moodle(grades: Iterable[Grade]) -> Iterable[Sequence[str]]:
    yield ["Username", "Communication models", "Feedback"]
    for grade in grades:
        yield [_login(grade), _points(grade), grade.fault or f"FAIL: {_ids(grade, FAIL) or 'none'}; cannot tell: "
               f"{_ids(grade, UNKNOWN) or 'none'}"]  # fmt: skip


ROWS = {"plain": _plain, "canvas": _canvas, "moodle": _moodle}


def as_gradescope(grade: Grade) -> str:
    """Return results.json as Gradescope's autograder reads it: a test for each line of the rubric."""
    tests = [
        {
            "name": f"{line.id}: {line.says}",
            "score": line.points if line.verdict == PASS else 0,
            "max_score": line.points,
            "status": "passed" if line.verdict == PASS else "failed",
            "output": f"{MARK_IN_A_GRADE[line.verdict]}: {line.reason}",
        }
        for line in grade.lines
    ]
    said = {"output": "\n".join(grade.notices), "tests": tests} | ({} if tests else {"score": 0})
    return json.dumps(said, indent=1, ensure_ascii=False) + "\n"


def _login(grade: Grade) -> str:
    """Return the name of a clone's folder, which is the student's login."""
    return PurePath(grade.folder).name


def _points(grade: Grade) -> str:
    return "" if grade.fault else f"{grade.points(PASS):g}"


def _ids(grade: Grade, verdict: str) -> str:
    return " ".join(line.id for line in grade.lines if line.verdict == verdict)
