"""What a repository committed of one run: its files, what git knows of them, and what is made of them once more."""

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from lab.history import steps as reference
from lab.history.model import Run
from lab.history.steps import Step
from lab.paths import ROOT

LATE_SECONDS = 2.0  # what a command of a script may take until it has done its work
MAX_TOLD, SHOWN = 3, 300

Wrong = Iterator[str]


class CannotTell(Exception):
    """A rule that cannot be decided; says why."""


@dataclass(frozen=True)
class CommittedRun:
    """The committed files of one run, its script and predictions, and what git knows of how it was made.

    `script_then` is the script as it was at the commit that the run names. `of_ours` says that this commit is one of
    ours, so that the script was ours, too, whatever became of it since.
    """

    folder: str
    files: dict[str, bytes]
    script: bytes | None
    script_then: bytes | None
    predictions: bytes | None
    in_history: bool
    of_ours: bool
    shallow: bool

    @property
    def experiment(self) -> str:
        """The experiment, by the folder's name."""
        return self.folder.rpartition("/")[2]

    @property
    def part(self) -> str:
        """The part, by the folder's name."""
        return self.folder.split("/")[-2]


@dataclass
class Evidence:
    """A committed run, read from its raw files, and what is made from them again.

    `made` holds the files that `./lab report` makes, and `summary` their figures; empty and None if it cannot.
    """

    committed: CommittedRun
    run: Run
    made: dict[str, bytes]
    summary: dict[str, Any] | None

    @property
    def commit(self) -> str:
        """The commit that the run names."""
        return self.run.head["environment"]["commit"]

    @property
    def script(self) -> str:
        """The path of its script."""
        return f"experiments/{self.committed.experiment}.sh"

    @cached_property
    def script_then(self) -> bytes | None:
        """The script with which it was made, as far as git knows."""
        if self.committed.of_ours:
            return own(self.script)
        return self.committed.script_then if self.committed.in_history else self.committed.script

    @cached_property
    def steps(self) -> list[Step]:
        """What happened, as the history has it."""
        return reference.happened(self.run)

    @cached_property
    def ours(self) -> list[Step] | None:
        """What happened in our own run, which may be missing; None for a run that was made with another script."""
        if self.script_then is None or self.script_then != own(self.script):
            return None
        return reference.ours(self.committed.part, self.committed.experiment)


def own(path: str) -> bytes | None:
    """Return our own text of a file; None if we have no such file."""
    file = ROOT / path
    return file.read_bytes() if file.is_file() else None


def short(text: str | None) -> str:
    """Return the beginning of a text."""
    text = text or "nothing"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"
