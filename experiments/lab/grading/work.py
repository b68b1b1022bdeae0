"""What is done for one clone, in a process of its own: every run is graded, and the pages over them are compared."""

import gc
from collections import defaultdict
from collections.abc import Callable
from functools import partial
from pathlib import Path

from lab.grading import grade, handin, pages, rubric
from lab.grading.committed import HandedIn
from lab.grading.findings import PAGES, Finding, Grade, Graded, Share
from lab.grading.repository import Repository
from lab.grading.text import plain

HANDIN = f"results/{handin.NAME}"
MAX_HANDIN, MAX_WORDS = 100_000, 1_500  # bytes of the page, letters of each answer
TOGETHER = {"comparison": pages.of_comparison, "broken": pages.of_broken}


def do(task: Share) -> Grade:
    """Grade the runs of a task. Raises LabError."""
    gc.disable()  # a process lives for a few runs: looking for garbage among their lines finds little
    handed_in = HandedIn(Repository(task.folder))
    found = Grade(plain(str(task.folder)), handed_in.repository.commit)
    for kind, folders in _share(handed_in, task):
        runs = _graded(handed_in, folders, task)
        if kind in TOGETHER:
            found.pages += _compared(handed_in, kind, partial(TOGETHER[kind], runs))
        for graded in runs:
            graded.run = None
        found.runs += runs
    if task.of == 1:
        found.pages += over_all(task.folder, found.runs, handed_in)
        for graded in found.runs:
            graded.made = {}
    if task.share == 0:
        _add_facts(found, handed_in)
        found.pages += _compared(handed_in, "explore", partial(pages.explored, handed_in))
    return found


def over_all(folder: Path, runs: list[Graded], handed_in: HandedIn | None = None) -> list[Finding]:
    """Compare the pages over all runs with what the runs give."""
    handed_in = handed_in or HandedIn(Repository(folder))
    return _compared(handed_in, "README.md", lambda: pages.over_all(runs, handed_in.repository.read(pages.FIGURES)))


def _share(handed_in: HandedIn, task: Share) -> list[tuple[str, list[str]]]:
    """Return the groups of folders that this task grades: the largest first, each share about as large."""
    groups: dict[str, list[str]] = defaultdict(list)
    for folder in handed_in.folders:
        kind = folder.split("/")[1]
        groups[kind if kind in TOGETHER else folder].append(folder)
    size = {name: sum(map(handed_in.size, folders)) for name, folders in groups.items()}
    shares: list[list[str]] = [[] for _ in range(task.of)]
    for name in sorted(groups, key=lambda name: (-size[name], name)):
        min(shares, key=lambda share: sum(size[name] for name in share)).append(name)
    return [(name, groups[name]) for name in shares[task.share]]


def _graded(handed_in: HandedIn, folders: list[str], task: Share) -> list[Graded]:
    """Grade some runs; those that are ours, byte for byte, are not made again."""
    if not handed_in.own and all(map(handed_in.as_ours, folders)):
        read = (handed_in.repository.read([f"{of}/{name}" for name in grade.PAGES]) for of in folders)
        found = ({path.rpartition("/")[2]: content for path, content in files.items()} for files in read)
        return [grade.as_ours(folder, files) for folder, files in zip(folders, found, strict=True)]
    runs = []
    for folder in folders:
        place = None if folder.split("/")[1] in (*TOGETHER, "chaos", "bench") else task.pictures
        picture = place / f"{folder.rpartition('/')[2]}.svg" if place else None
        runs.append(grade.grade_committed_run(handed_in.run(folder), picture=picture, redraw=task.redraw))
    return runs


def _compared(handed_in: HandedIn, kind: str, make: Callable[[], pages.Files]) -> list[Finding]:
    try:
        return [*pages.compared(handed_in, make())]
    except Exception as error:  # raw files that were tampered with can break anything
        return [Finding.of(PAGES, [f"results/{kind} cannot be made again: {error or type(error).__name__}"])]


def _add_facts(found: Grade, handed_in: HandedIn) -> None:
    repository = handed_in.repository
    if said := handed_in.complaints():
        found.pages.append(Finding.of("Below results there are files and folders of runs, and nothing else.", said))
    found.changes = repository.changes()
    pages = repository.read({*rubric.pages(), HANDIN})
    found.headings = {path: rubric.headings(content) for path, content in pages.items()}
    text = pages.get(HANDIN, b"")[:MAX_HANDIN].decode(errors="replace")
    found.words = {id: plain(" ".join(said.split()), MAX_WORDS) for id, said in handin.words(text).items()}
