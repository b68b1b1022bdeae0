"""Grades one repository or a class of them: each clone by itself, then what they have in common."""

import functools
import os
from collections.abc import Callable, Sequence
from itertools import pairwise
from pathlib import Path

from lab.grading import isolation, likeness, rubric
from lab.grading.findings import CAME, PAGES, Finding, Grade, Graded, Share
from lab.grading.isolation import Fault
from lab.grading.ours import ours
from lab.grading.text import plain
from lab.paths import ROOT
from lab.verdict import UNKNOWN

ALONE = "No two runs of one clone overlap: one machine runs one experiment at a time."


def graded(
    folders: Sequence[Path],
    do: Callable[[Share], Grade],
    over_all: Callable[[Path, list[Graded]], list[Finding]],
    *,
    pictures: Callable[[int], Path] | None = None,
    redraw: bool = False,
    say: Callable[[str], None] = lambda text: None,
) -> list[Grade]:
    """Grade repositories, each in a process of its own, and compare them with each other and with this one.

    `do` grades a share of a clone, `over_all` compares the pages over all its runs (`lab.grading.work`).
    """
    ours()  # once, for all processes
    cores = os.cpu_count() or 1
    shares = cores if len(folders) == 1 else 1
    places = [(number, share) for number in range(len(folders)) for share in range(shares)]
    tasks = [
        functools.partial(do, Share(folders[n], share, shares, pictures(n) if pictures else None, redraw))
        for n, share in places
    ]
    grades = [Grade(plain(str(folder))) for folder in folders]
    for done, (number, answer) in enumerate(isolation.answers(tasks, cores), start=1):
        grade = grades[places[number][0]]
        if isinstance(answer, Fault):
            grade.fault = f"cannot be graded: {answer.why}"
        else:
            grade.add(answer)
        if len(folders) > 1:
            say(f"{done} of {len(folders)}: {grade.folder}")
    if shares > 1 and not grades[0].fault:  # what several processes graded has pages over all of it
        [(_, said)] = isolation.answers([functools.partial(over_all, folders[0], grades[0].runs)], 1)
        grades[0].pages += [Finding(PAGES, UNKNOWN, [said.why])] if isinstance(said, Fault) else said
    _compare([grade for grade, folder in zip(grades, folders, strict=True) if folder.resolve() != ROOT])
    for grade in grades:
        _alone(grade.runs)
        grade.lines = [] if grade.fault else rubric.judge(grade.runs, grade.headings)
    return grades


def _compare(grades: list[Grade]) -> None:
    """Say of each run where the same is: in our own copy, so that it earns nothing, or in another clone."""
    if not grades:
        return
    [(_, mine)] = isolation.answers([likeness.of_ours], 1)
    found = {(grade.folder, run.folder): run for grade in grades for run in grade.runs if not run.came}
    prints = [(place, folder, run.print) for (place, folder), run in found.items() if run.print]
    pairs = likeness.pairs([*prints, *mine])
    copies = {(pair.one, pair.folder): pair for pair in pairs if pair.other == likeness.US}
    for place, pair in copies.items():
        sentence = f"a copy of our own run: {pair.measured}; it earns nothing"
        found[place].findings.append(Finding(CAME, UNKNOWN, [sentence]))
    for pair in pairs:
        if not copies.keys() & {(pair.one, pair.folder), (pair.other, pair.folder)}:
            for here, there in ((pair.one, pair.other), (pair.other, pair.one)):
                sentence = f"the same run as in {there}: {pair.measured}; ask whose it is"
                found[here, pair.folder].findings.append(Finding(CAME, UNKNOWN, [sentence]))
            for grade in grades:
                grade.similar += [pair] if grade.folder in (pair.one, pair.other) else []


def _alone(runs: list[Graded]) -> None:
    timed = sorted((run.times, run.folder, run) for run in runs if run.times and not run.came)
    for (before, name, one), (after, other, two) in pairwise(timed):
        if after[0] < before[1]:
            for run, with_ in ((one, other), (two, name)):
                run.findings.append(Finding(ALONE, UNKNOWN, [f"it was made at the same time as {with_}"]))
