"""Clones of this repository in which students change evidence, for the tests of grading."""

import os
import re
import shutil
import subprocess
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

from lab.grading import classroom, committed, grade, likeness, pages, rules
from lab.grading.committed import HandedIn
from lab.grading.findings import NOTICE, Graded
from lab.grading.ours import Ours, is_code
from lab.grading.repository import Repository
from lab.history import model as history
from lab.history.model import HISTORY, STATE
from lab.paths import ROOT
from lab.report import run as run_report
from lab.report.format import prediction_row, verdict_sentence

MODULES = (classroom, committed, grade, pages, rules)


def the_student_s(monkeypatch, root: Path) -> None:
    """Let the runs in a clone be the student's own, and the code that is committed there be ours."""
    repository = Repository(root)
    code = {path: blob.id for path, blob in repository.files.items() if is_code(path)}
    found = Ours(code, {}, repository.commits, frozenset(repository.versions("experiments")))
    for module in MODULES:
        monkeypatch.setattr(module, "ours", lambda: found)
    monkeypatch.setattr(likeness, "of_ours", list)


def git(folder: Path, *words: str, at: datetime | None = None) -> str:
    env = os.environ | ({"GIT_COMMITTER_DATE": at.isoformat()} if at else {})
    who = ("-c", "user.name=test", "-c", "user.email=test@localhost", "-c", "commit.gpgsign=false")
    done = subprocess.run(["git", "-C", str(folder), *who, *words], capture_output=True, text=True, check=True, env=env)
    return done.stdout.strip()


def cloned(tmp_path_factory) -> Path:
    """Clone this repository, for the tests of a module."""
    root = tmp_path_factory.mktemp("clones") / "student"
    subprocess.run(["git", "clone", "--quiet", "--shared", str(ROOT), str(root)], check=True)
    git(root, "tag", "as-cloned")
    return root


def as_cloned(root: Path, monkeypatch) -> "Clone":
    """Bring a clone back to how it was cloned; its runs are the student's own."""
    git(root, "reset", "--quiet", "--hard", "as-cloned")
    git(root, "clean", "--quiet", "-dfx")
    the_student_s(monkeypatch, root)
    return Clone(root)


def draw_quickly(clone: "Clone", monkeypatch) -> "Clone":
    """Let pictures cost no time."""
    monkeypatch.setattr(run_report.plot, "drawn", lambda run, *_, **__: f"{len(run.events)} events\n".encode())
    return clone


@dataclass
class Clone:
    """A student's clone, in which evidence is changed and committed."""

    root: Path

    def commit(self, at: datetime | None = None) -> None:
        """Commit everything, now or as if it were at another time."""
        git(self.root, "add", "--all")
        git(self.root, "commit", "--quiet", "--allow-empty", "-m", "my work", at=at)

    def graded(self, folder: str) -> Graded:
        """Commit everything, and grade one run."""
        self.commit()
        repository = Repository(self.root)
        found = HandedIn(repository).run(folder)
        head = git(self.root, "rev-parse", "HEAD")
        # What was not changed in the clone was made by our code, also when that has changed here since.
        untouched = [file for file in found.files if repository.changed_by.get(f"{folder}/{file}") != head]
        made_by_us = dict.fromkeys([*untouched, *([""] if found.in_history else [])], ())
        return grade.grade_committed_run(replace(found, other_code=found.other_code | made_by_us))

    def replace(self, path: str, old: str, new: str) -> None:
        text = (self.root / path).read_text()
        assert old in text
        (self.root / path).write_text(text.replace(old, new, 1))

    def edit(self, path: str, words: str, old: str, new: str) -> int:
        """Replace what a pattern finds in the first line that has these words, and return the line's number."""
        lines = (self.root / path).read_text().split("\n")
        number = next(n for n, line in enumerate(lines) if words in line)
        edited = re.sub(old, new, lines[number], count=1)
        assert edited != lines[number]
        lines[number] = edited
        (self.root / path).write_text("\n".join(lines))
        return number + 1

    def run(self, folder: str) -> history.Run:
        return history.read(self.root / folder)

    def write(self, folder: str, run: history.Run, *, anew: bool = True) -> None:
        """Write raw files as the laboratory does, and its reports."""
        place = self.root / folder
        history.write_lines(place / HISTORY, [run.head, *sorted(run.events, key=lambda e: e["at"])])
        history.write_lines(place / STATE, run.state)
        if anew:
            summary = run_report.make(place)
            log = [f"— {run.head['experiment']}"]
            for p in summary["predictions"]:
                text, predicted, measured, _ = prediction_row(p)
                log.append(f"  {p['verdict']:7} {p['id']}: {text}: predicted {predicted}, measured {measured}")
            log.append(f"{summary['verdict']}: {verdict_sentence(summary)}")
            (place / "run.log").write_text("\n".join(log))

    def keep(self, *folders: str) -> None:
        """Remove all runs but these."""
        for folder in self.root.glob("results/*/*"):
            if folder.is_dir() and str(folder.relative_to(self.root)) not in folders:
                shutil.rmtree(folder)


def reasons(found: Graded) -> list[str]:
    return [sentence for broken in found.broken for sentence in broken.sentences]


def notices(found: Graded) -> list[str]:
    return [sentence for finding in found.findings if finding.verdict == NOTICE for sentence in finding.sentences]


def breaks(found: Graded, *words: str, verdict: str = "fail") -> bool:
    """Whether one reason says all these words, and the run is judged so."""
    assert found.verdict == verdict, reasons(found)
    return any(all(word in reason for word in words) for reason in reasons(found))
