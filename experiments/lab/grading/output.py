"""Grades repositories from what is committed in them, and shows the grade as text, as CSV and as JSON."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from lab.grading import grade, rubric
from lab.grading.grade import Graded
from lab.grading.repository import Repository
from lab.grading.rubric import Judged
from lab.verdict import EXIT_STATUS, FAIL, MARK_IN_A_GRADE, PASS, UNKNOWN, overall

COLUMNS = ("folder", "points", "of", "failed", "cannot tell", "notices")


@dataclass(frozen=True)
class Grade:
    """What was found in one repository."""

    folder: str
    commit: str
    runs: list[Graded]
    lines: list[Judged]
    changes: list[str]

    def points(self, *verdicts: str, part: str = "") -> float:
        """Return the points of the lines with these verdicts, or with any; of one part, or of all."""
        return sum(r.points for r in self.lines if r.verdict in (verdicts or EXIT_STATUS) and part in ("", r.part))

    @property
    def status(self) -> int:
        """0 if every line passes, 1 if a line failed, 2 if a line cannot be told and none failed."""
        return EXIT_STATUS[overall([judged.verdict for judged in (*self.lines, *self.runs)])]

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {
            "folder": self.folder,
            "commit": self.commit,
            "points": self.points(PASS),
            "of": self.points(),
            "status": self.status,
            "lines": [asdict(line) for line in self.lines],
            "runs": [run.as_dict() for run in self.runs],
            "uncommitted": self.changes,
        }

    def as_row(self) -> list[str]:
        """Return it as CSV has it; the notices are evidence that is not valid, and changes that are not committed."""
        ids = [" ".join(line.id for line in self.lines if line.verdict == verdict) for verdict in (FAIL, UNKNOWN)]
        notices = [f"{run.folder}: {run.why}" for run in self.runs if run.verdict != PASS]
        if self.changes:
            more = f" and {len(self.changes) - 1} more" if self.changes[1:] else ""
            notices.append(f"not committed, so not graded: {self.changes[0]}{more}")
        return [self.folder, f"{self.points(PASS):g}", f"{self.points():g}", *ids, " | ".join(notices)]


def graded(folder: Path) -> Grade:
    """Grade the repository of a folder. Raises LabError."""
    repository = Repository(folder)
    runs = grade.graded(repository)
    return Grade(str(folder), repository.commit, runs, rubric.judge(repository, runs), repository.changes())


def as_text(g: Grade) -> Iterator[str]:
    """Yield what is wrong with the evidence, what is not graded, each line of the rubric, and the sums."""
    valid = sum(run.verdict == PASS for run in g.runs)
    yield f"{g.folder} at {g.commit}: {valid} of {len(g.runs)} runs and benchmarks are what their scripts make"
    for run in g.runs:
        for broken in run.broken:
            yield f"  {MARK_IN_A_GRADE[broken.verdict]}  {run.folder}: {broken.rule}"
            for sentence in broken.sentences:
                yield f"        {sentence}"
    for path in g.changes[:5]:
        yield f"  not committed, so not graded: {path}"
    yield f"  … and {len(g.changes) - 5} more\n" if g.changes[5:] else ""
    for line in g.lines:
        yield f"{line.id:4} {line.points:>4g}  {MARK_IN_A_GRADE[line.verdict]:11}  {line.says}"
        yield f"{'':24}{line.reason}\n{'':24}→ {', '.join(line.evidence)}"
    parts = dict.fromkeys(line.part for line in g.lines)
    each = ", ".join(f"{part} {g.points(PASS, part=part):g} of {g.points(part=part):g}" for part in parts)
    open_ = g.points(UNKNOWN)
    yield (f"\n{g.points(PASS):g} of {g.points():g} points ({each}){f'; {open_:g} cannot be told' if open_ else ''}")
