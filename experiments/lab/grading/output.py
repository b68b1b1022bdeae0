"""Shows a grade as text and as JSON."""

from collections import defaultdict
from collections.abc import Iterable, Iterator
from dataclasses import asdict
from typing import Any

from lab.grading.findings import NOTICE, Finding, Grade
from lab.grading.text import listed, plain
from lab.report.format import page
from lab.verdict import MARK_IN_A_GRADE, PASS

MARK = MARK_IN_A_GRADE | {NOTICE: "notice"}


def as_dict(grade: Grade) -> dict[str, Any]:
    """Return a grade as JSON has it."""
    runs = [{"folder": run.folder, "verdict": run.verdict, "rules": [*map(asdict, run.findings)]} for run in grade.runs]
    return {
        "folder": grade.folder,
        "commit": grade.commit,
        "points": grade.points(PASS),
        "of": grade.points(),
        "status": grade.status,
        "lines": [asdict(line) for line in grade.lines],
        "runs": runs,
        "pages": [asdict(page) for page in grade.pages],
        "same": [asdict(pair) for pair in grade.similar],
        "uncommitted": grade.changes,
        "words": grade.words,
        **({"fault": grade.fault} if grade.fault else {}),
    }


def as_pairs(grades: Iterable[Grade]) -> Iterator[str]:
    """Yield the pairs of clones that have the same runs."""
    pairs = dict.fromkeys(pair for grade in grades for pair in grade.similar)
    yield from (f"{pair.one} and {pair.other}: {pair.folder}: {pair.measured}" for pair in pairs)
    yield f"{len(pairs) or 'no'} pairs of the same runs"


def as_text(grade: Grade) -> str:
    """Return what is wrong with the evidence, what is not graded, each line of the rubric, and the sums."""
    valid = sum(run.verdict == PASS for run in grade.runs)
    more = {"findings": _findings(grade), "mark": MARK, "plain": plain}
    return page("grading/templates/grade.txt.j2", grade=grade, valid=valid, **more)


def _findings(grade: Grade) -> Iterator[tuple[str, Finding]]:
    """Yield each finding, with the runs of which the same is said."""
    runs: dict[tuple[str, str, str], list[str]] = defaultdict(list)
    of = {}
    for run in grade.runs:
        for finding in run.findings:
            key = (finding.verdict, finding.rule, "".join(finding.sentences))
            runs[key].append(run.folder)
            of[key] = finding
    yield from ((f"{listed(folders)}: ", of[key]) for key, folders in runs.items())
    yield from (("", page) for page in grade.pages)
