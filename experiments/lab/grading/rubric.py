"""The rubric: which points a repository earns, judged from what grading found.

The lines are in `experiments/rubric.toml`. A line needs one or more of these, and all of them:

    experiment = "a5_outage"      its committed run is sound, its invariants hold, and our predictions hold for it
    predictions = ["…", …]        only these of its predictions, by their ids; all of them if not given
    benchmark = "sync-rest"       its committed samples are sound, and all its goals are reached
    file = "README.md"            this file is committed
    section = "Idempotency"       and has a heading that begins so
"""

import tomllib
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

from lab.grading.grade import Graded
from lab.grading.repository import Repository
from lab.paths import PARTS, ROOT
from lab.report.format import prediction_row
from lab.verdict import FAIL, PASS, UNKNOWN, overall

RUBRIC = ROOT / "experiments/rubric.toml"
Said = Iterator[tuple[str, str]]  # (verdict, reason) of each thing that a line needs


@dataclass(frozen=True)
class Judged:
    """One line of the rubric with its verdict, the reason in a sentence, and where to look."""

    id: str
    part: str
    says: str
    points: float
    verdict: str
    reason: str
    evidence: list[str]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return asdict(self)


def lines() -> list[dict[str, Any]]:
    """Return the lines of the rubric, as they are written."""
    return tomllib.loads(RUBRIC.read_text())["line"]


def judge(repository: Repository, found: list[Graded]) -> list[Judged]:
    """Judge every line of the rubric."""
    jury = _Jury(repository, {g.folder: g for g in found})
    return [jury.judged(line) for line in lines()]


class _Jury:
    def __init__(self, repository: Repository, found: dict[str, Graded]) -> None:
        self._repository, self._found = repository, found

    def judged(self, line: dict[str, Any]) -> Judged:
        """Judge one line: the worst of what it needs, and why."""
        said = list(self._needs(line))
        worst = overall([v for v, _ in said])
        reasons = [reason for v, reason in said if v == worst]
        reason = "; ".join(reasons) if worst == PASS else reasons[0]
        shape = {name: line[name] for name in ("id", "part", "says")}
        return Judged(**shape, points=line["points"], verdict=worst, reason=reason, evidence=_links(line))

    def _needs(self, line: dict[str, Any]) -> Said:
        if "experiment" in line:
            yield from self._experiment(_folder(line), line["experiment"], line.get("predictions"))
        if "benchmark" in line:
            yield from self._benchmark(line["benchmark"])
        if "file" in line:
            yield self._file(line["file"], line.get("section"))

    def _experiment(self, folder: str, name: str, wanted: list[str] | None) -> Said:
        """Yield what is to be said of a run: its soundness, its invariants, its predictions."""
        found = self._found.get(folder)
        if found is None:
            yield UNKNOWN, f"there is no {folder}: run experiments/{name}.sh and commit what it makes"
            return
        if found.verdict != PASS:
            yield found.verdict, found.why
        if found.summary is None:
            return
        for invariant in found.summary["invariants"]:
            if invariant["verdict"] != PASS:
                yield invariant["verdict"], f"{invariant['id']}: {invariant['sentence']}"
        if "doubt" in found.summary:
            yield UNKNOWN, found.summary["doubt"]
        predictions = {p["id"]: p for p in found.summary["predictions"]}
        ids = wanted or list(predictions)
        for id in ids:
            yield from _wrong_prediction(id, predictions.get(id))
        yield PASS, f"{len(ids)} predictions and {len(found.summary['invariants'])} invariants hold"

    def _benchmark(self, name: str) -> Said:
        folder = f"results/bench/{name}"
        found = self._found.get(folder)
        if found is None:
            yield UNKNOWN, f"there is no {folder}: run ./lab bench {name} and commit what it makes"
            return
        if found.verdict != PASS:
            yield found.verdict, found.why
        goals = (found.summary or {"goals": []})["goals"]
        for goal in goals:
            if goal["verdict"] != PASS:
                yield goal["verdict"], f"{goal['goal']}: wanted {goal['wanted']}, measured {goal['measured']}"
        yield PASS, f"{len(goals)} goals are reached"

    def _file(self, path: str, section: str | None) -> tuple[str, str]:
        content = self._repository.read([path]).get(path)
        if content is None:
            return FAIL, f"there is no {path}"
        headings = [line.lstrip("# ") for line in content.decode(errors="replace").splitlines() if line.startswith("#")]
        if section and not any(heading.startswith(section) for heading in headings):
            return FAIL, f"{path} has no section `{section}`"
        return PASS, f"{path} is there"


def _wrong_prediction(id: str, found: dict[str, Any] | None) -> Said:
    """Yield what is wrong with one prediction: it must be there, and hold."""
    if found is None:
        yield UNKNOWN, f"there is no prediction {id}"
    elif found["verdict"] != PASS:
        sentence, predicted, measured, _ = prediction_row(found)
        yield found["verdict"], f"{id}: {sentence}: predicted {predicted}, measured {measured}"


def _folder(line: dict[str, Any]) -> str:
    return f"results/{PARTS['ABC'.index(line['part'])]}/{line['experiment']}"


def _links(line: dict[str, Any]) -> list[str]:
    """Return where to look at what a line needs: paths, seen from the repository's root."""
    links = [f"{_folder(line)}/report.md"] if "experiment" in line else []
    links += [f"results/bench/{line['benchmark']}/report.md"] if "benchmark" in line else []
    return links + ([line["file"]] if "file" in line else [])
