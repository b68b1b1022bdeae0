"""The pages over many runs, made again from what these runs give: the index, the comparison, chaos, broken versions."""

import json
from collections.abc import Iterator

from lab.broken import Judged, judge_runs
from lab.broken import write_report as broken_page
from lab.comparison import compare
from lab.comparison.runs import ComparedRun
from lab.grading.committed import HandedIn
from lab.grading.evidence import Notice
from lab.grading.findings import PAGES, Finding, Graded
from lab.grading.ours import ours
from lab.grading.text import differs
from lab.paths import PARTS
from lab.report import chaos, index
from lab.runtime import broken
from lab.simulation import again, report

INDEX, CHAOS, COMPARISON, BROKEN = (f"results/{name}" for name in ("README.md", "chaos", "comparison", "broken"))
FIGURES = [f"results/explore/{part}{index.FIGURES}" for part in PARTS]
Files = dict[str, bytes]


def of_comparison(graded: list[Graded]) -> Files:
    """Return the files of the comparison of these runs, by their paths."""
    there = [(g.folder.split("/")[2:], g.run, g.summary) for g in graded]
    cells = [ComparedRun(condition, part, run, summary) for (part, condition), run, summary in there if run and summary]
    return {f"{COMPARISON}/{name}": content for name, content in compare.files(cells).items()} if cells else {}


def of_broken(graded: list[Graded]) -> Files:
    """Return the page of the broken versions of which there are both runs."""
    runs = {tuple(g.folder.split("/")[2:]): (g.run, g.summary) for g in graded if g.run and g.summary}
    judged: list[Judged] = []
    for name in broken.names():
        red, green = runs.get((name, "red")), runs.get((name, "green"))
        if red and green:
            judged.append(judge_runs(broken.named(name), red, green))
    return {f"{BROKEN}/report.md": broken_page(judged).encode()} if judged else {}


def over_all(graded: list[Graded], figures: Files) -> Files:
    """Return the index, and the page of chaos, from the summaries of these runs and what was explored."""
    read = {g.folder.removeprefix("results/"): index.summary_of(g.made) for g in graded}
    found = {folder: summary for folder, summary in read.items() if summary}
    for path, content in figures.items():
        found[path.removeprefix("results/").removesuffix(index.FIGURES)] = json.loads(content)
    made = {INDEX: index.page_of(found).encode()}
    if under_chaos := {folder: summary for folder, summary in found.items() if folder.startswith("chaos/")}:
        made[f"{CHAOS}/report.md"] = chaos.page_of(under_chaos).encode()
    return made


def explored(handed_in: HandedIn) -> Files:
    """Return the files of the parts whose explored figures are committed; of those that are ours byte for byte, none.

    To play all schedules again takes as long as the exploration did: a few seeds show whether the figures are of this
    code.
    """
    files: Files = {}
    for path, content in handed_in.repository.read(FIGURES).items():
        if handed_in.own or ours().results.get(path) != handed_in.repository.files[path].id:
            said = again.figures(json.loads(content))
            files[path] = report.as_text(said).encode()
            files[path.replace(index.FIGURES, ".md")] = report.page(said).encode()
    return files


def compared(handed_in: HandedIn, made: Files) -> Iterator[Finding]:
    """Yield how committed pages differ from those that were made again."""
    committed = handed_in.repository.read(made)
    for path, content in committed.items():
        if not handed_in.own and ours().results.get(path) == handed_in.repository.files[path].id:
            continue
        if wrong := differs(path, content, made[path]):
            yield Finding.of(PAGES, [Notice(wrong) if handed_in.is_stale(path) else wrong])
