"""Grades one repository or a class of them: each clone by itself, then what they have in common."""

import functools
import os
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from pathlib import Path

from lab.grading import isolation, likeness, rubric
from lab.grading.findings import CAME, PAGES, Finding, Graded, Part, Share
from lab.grading.isolation import Fault
from lab.grading.likeness import Pair
from lab.grading.ours import ours
from lab.grading.rubric import Judged
from lab.grading.text import plain
from lab.paths import ROOT
from lab.verdict import EXIT_STATUS, FAIL, UNKNOWN, overall

ALONE = "No two runs of one clone overlap: one machine runs one experiment at a time."


@dataclass
class Grade:
    """What was found in one repository; `fault` says why it could not be graded."""

    folder: str
    commit: str = ""
    runs: list[Graded] = field(default_factory=list)
    lines: list[Judged] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    pages: list[Finding] = field(default_factory=list)
    similar: list[Pair] = field(default_factory=list)
    headings: dict[str, list[str]] = field(default_factory=dict)
    fault: str = ""

    def points(self, *verdicts: str, part: str = "") -> float:
        """Return the points of the lines with these verdicts, or with any; of one part, or of all."""
        return sum(r.points for r in self.lines if r.verdict in (verdicts or EXIT_STATUS) and part in ("", r.part))

    @property
    def status(self) -> int:
        """0 if every line passes, 1 if a line failed, 2 if a line cannot be told and none failed."""
        pages = [page.verdict for page in self.pages if page.verdict in EXIT_STATUS]
        found = [*(line.verdict for line in self.lines), *(r.verdict for r in self.runs), *pages]
        return EXIT_STATUS[UNKNOWN if self.fault else overall(found)]

    @property
    def notices(self) -> list[str]:
        """What an instructor should look at, in a sentence each: what is wrong, the same runs, what is uncommitted."""
        said = [f"{run.folder}: {run.why}" for run in self.runs if run.verdict == FAIL]
        said += [sentence for page in self.pages if page.verdict == FAIL for sentence in page.sentences]
        others = self._others()
        if came := sum(run.came for run in self.runs) - len({pair.folder for of in others.values() for pair in of}):
            said.append(f"{came} runs came with the hand-out, or are copies of ours: they earn nothing")
        said += [f"{len(of)} runs are the same as in {name}" for name, of in others.items()]
        if self.changes:
            more = f" and {len(self.changes) - 1} more" if self.changes[1:] else ""
            said.append(f"not committed, so not graded: {self.changes[0]}{more}")
        return [self.fault, *said] if self.fault else said

    def _others(self) -> dict[str, list[Pair]]:
        """Return the pairs with each other clone."""
        found: dict[str, list[Pair]] = defaultdict(list)
        for pair in self.similar:
            found[pair.other if pair.one == self.folder else pair.one].append(pair)
        return found


@dataclass(frozen=True)
class Work:
    """What a process does: grade a share of a clone, and compare its pages over all runs."""

    share: Callable[[Share], Part]
    pages: Callable[[Path, list[Graded]], list[Finding]]


def graded(
    folders: Sequence[Path],
    work: Work,
    *,
    pictures: Callable[[int], Path] | None = None,
    redraw: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> list[Grade]:
    """Grade repositories, each in a process of its own, and compare them with each other and with this one."""
    ours()  # once, for all processes
    cores = os.cpu_count() or 1
    shares = cores if len(folders) == 1 else 1
    places = [(number, share) for number in range(len(folders)) for share in range(shares)]
    tasks = [
        functools.partial(work.share, Share(folders[n], share, shares, pictures(n) if pictures else None, redraw))
        for n, share in places
    ]
    parts: dict[int, list[Part | Fault]] = defaultdict(list)
    for number, answer in isolation.answers(tasks, cores):
        clone = places[number][0]
        parts[clone].append(answer)
        if len(folders) > 1:
            say(f"{len(parts)} of {len(folders)}: {plain(str(folders[clone]))}")
    grades = [_together(folder, parts[number]) for number, folder in enumerate(folders)]
    if shares > 1:
        _compare_pages(work, folders[0], grades[0])
    _compare_runs([grade for grade, folder in zip(grades, folders, strict=True) if folder.resolve() != ROOT])
    for grade in grades:
        _alone(grade.runs)
        grade.lines = [] if grade.fault else rubric.judge(grade.runs, grade.headings)
    return grades


def _together(folder: Path, parts: list[Part | Fault]) -> Grade:
    """Return what the parts of one clone say together."""
    found = Grade(plain(str(folder)))
    for part in parts:
        if isinstance(part, Fault):
            return Grade(found.folder, fault=f"cannot be graded: {part.why}")
        found.commit = part.commit
        found.runs += part.runs
        found.pages += part.pages
        found.changes += part.changes
        found.headings |= part.headings
    found.runs.sort(key=lambda run: run.folder)
    return found


def _compare_pages(work: Work, folder: Path, grade: Grade) -> None:
    """Compare the pages over all runs, where several processes graded these."""
    if not grade.fault:
        [(_, said)] = isolation.answers([functools.partial(work.pages, folder, grade.runs)], 1)
        grade.pages += [Finding(PAGES, UNKNOWN, [said.why])] if isinstance(said, Fault) else said


def _compare_runs(grades: list[Grade]) -> None:
    """Say of each run where the same is: in our own copy, so that it earns nothing, or in another clone."""
    if not grades:
        return
    [(_, mine)] = isolation.answers([likeness.of_ours], 1)
    clones = {grade.folder: {run.folder: run for run in grade.runs} for grade in grades}
    for pair in likeness.pairs(_prints(grades), mine):
        run = clones[pair.one][pair.folder]
        run.findings.append(Finding(CAME, UNKNOWN, [f"a copy of our own run: {pair.measured}; it earns nothing"]))
    for pair in likeness.pairs(_prints(grades)):
        for here, there in ((pair.one, pair.other), (pair.other, pair.one)):
            sentence = f"the same run as in {there}: {pair.measured}; ask whose it is"
            clones[here][pair.folder].findings.append(Finding(CAME, UNKNOWN, [sentence]))
        for grade in grades:
            grade.similar += [pair] if grade.folder in (pair.one, pair.other) else []


def _prints(grades: list[Grade]) -> list[tuple[str, str, likeness.Print]]:
    """Return what shows whether runs are the same; of those that are not known to be ours."""
    found = ((grade.folder, run) for grade in grades for run in grade.runs if run.print and not run.came)
    return [(place, run.folder, run.print) for place, run in found if run.print]


def _alone(runs: list[Graded]) -> None:
    """Say of two runs of one clone that they overlap."""
    timed = sorted((run.times, run.folder, run) for run in runs if run.times and not run.came)
    for (before, name, one), (after, other, two) in pairwise(timed):
        if after[0] < before[1]:
            for run, with_ in ((one, other), (two, name)):
                run.findings.append(Finding(ALONE, UNKNOWN, [f"it was made at the same time as {with_}"]))
