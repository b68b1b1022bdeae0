"""The rubric: which points a repository earns, judged from what grading found.

The lines are in `experiments/rubric.toml`. A line needs one or more of these, and all of them:

    experiment = "a5_outage"      its committed run is sound, its invariants hold, and our predictions hold for it
    predictions = ["…", …]        only these of its predictions, by their ids; all of them if not given
    benchmark = "sync-rest"       its committed samples are sound, and all its goals are reached
    file = "README.md"            this file is committed
    section = "Idempotency"       and has a heading that begins so
"""

import tomllib
from collections.abc import Iterator, Mapping
from typing import Any

from lab.grading.committed import command_of
from lab.grading.findings import Graded, Judged
from lab.paths import PARTS, ROOT
from lab.report.format import prediction_row
from lab.verdict import FAIL, PASS, UNKNOWN, overall

RUBRIC = ROOT / "experiments/rubric.toml"
Said = Iterator[tuple[str, str]]  # (verdict, reason) of each thing that a line needs


def lines() -> list[dict[str, Any]]:
    """Return the lines of the rubric, as they are written."""
    return tomllib.loads(RUBRIC.read_text())["line"]


def pages() -> list[str]:
    """Return the paths of the pages that lines name."""
    return sorted({line["file"] for line in lines() if "file" in line})


def headings(content: bytes) -> list[str]:
    """Return the headings of a page of Markdown."""
    return [line.lstrip("# ") for line in content.decode(errors="replace").splitlines() if line.startswith("#")]


def judge(found: list[Graded], pages: Mapping[str, list[str]]) -> list[Judged]:
    """Judge every line of the rubric, by runs and the headings of pages: the worst of what it needs, and why."""
    by_folder = {graded.folder: graded for graded in found}
    return [_judged(line, list(_needs(line, by_folder, pages))) for line in lines()]


def _judged(line: dict[str, Any], said: list[tuple[str, str]]) -> Judged:
    worst = overall([verdict for verdict, _ in said])
    reasons = [reason for verdict, reason in said if verdict == worst]
    links = [f"{folder}/report.md" for folder in _folders(line)] + ([line["file"]] if "file" in line else [])
    reason = "; ".join(reasons) if worst == PASS else reasons[0]
    return Judged(line["id"], line["part"], line["says"], line["points"], worst, reason, links)


def _folders(line: dict[str, Any]) -> list[str]:
    """Return where the evidence is that a line needs."""
    place = {"experiment": PARTS["ABC".index(line["part"])], "benchmark": "bench"}
    return [f"results/{folder}/{line[kind]}" for kind, folder in place.items() if kind in line]


def _needs(line: dict[str, Any], found: Mapping[str, Graded], pages: Mapping[str, list[str]]) -> Said:
    for folder in _folders(line):
        graded = found.get(folder)
        if graded is None:
            yield UNKNOWN, f"there is no {folder}: run {command_of(folder)} and commit what it makes"
            continue
        if graded.verdict != PASS:
            yield graded.verdict, graded.why
        if summary := graded.summary:
            yield from _goals(summary["goals"]) if "goals" in summary else _run(summary, line.get("predictions"))
    if path := line.get("file"):
        section = line.get("section", "")
        if path not in pages:
            yield FAIL, f"there is no {path}"
        elif section and not any(heading.startswith(section) for heading in pages[path]):
            yield FAIL, f"{path} has no section `{section}`"
        else:
            yield PASS, f"{path} is there"


def _run(summary: dict[str, Any], wanted: list[str] | None) -> Said:
    """Yield what is to be said of a run's invariants and predictions."""
    for invariant in summary["invariants"]:
        if invariant["verdict"] != PASS:
            yield invariant["verdict"], f"{invariant['id']}: {invariant['sentence']}"
    if "doubt" in summary:
        yield UNKNOWN, summary["doubt"]
    predictions = {p["id"]: p for p in summary["predictions"]}
    ids = wanted or list(predictions)
    for id in ids:
        if id not in predictions:
            yield UNKNOWN, f"there is no prediction {id}"
        elif (verdict := predictions[id]["verdict"]) != PASS:
            sentence, predicted, measured, _ = prediction_row(predictions[id])
            yield verdict, f"{id}: {sentence}: predicted {predicted}, measured {measured}"
    yield PASS, f"{len(ids)} predictions and {len(summary['invariants'])} invariants hold"


def _goals(goals: list[dict[str, Any]]) -> Said:
    for goal in goals:
        if goal["verdict"] != PASS:
            yield goal["verdict"], f"{goal['goal']}: wanted {goal['wanted']}, measured {goal['measured']}"
    yield PASS, f"{len(goals)} goals are reached"
