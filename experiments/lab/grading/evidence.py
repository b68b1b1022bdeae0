"""What a repository committed of one run: its files, what git knows of them, and what is made of them once more."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from lab.grading.text import plain
from lab.history import steps as reference
from lab.history.model import Run
from lab.history.steps import Step
from lab.paths import ROOT

LATE_SECONDS = 5.0  # what a command of a script may take until it has done its work, on a slow machine
MAX_TOLD, SHOWN = 3, 300
OF_MANY = ("comparison", "chaos", "broken", "scale")  # folders of runs that earn no points


class CannotTell(Exception):
    """A rule that cannot be decided; says why."""


class Unsure(str):
    """A sentence for which nothing can be told, and a person decides: no points, and no accusation."""


class Notice(str):
    """A sentence that changes no verdict."""


Wrong = Iterator[str]  # a plain string says what is wrong


@dataclass(frozen=True)
class CommittedRun:
    """The committed files of one run, its script and predictions, and what git knows of how it was made.

    `script_then` is the script as it was at the commit that the run names. `links` are files that are none. `ids` are
    the files' git ids; `other_code` says which files of the code differed from ours when each was committed. The time
    of the named commit is `named_at`, the one of the commit that added the raw files `added_at`.
    """

    folder: str
    files: dict[str, bytes]
    script: bytes | None = None
    script_then: bytes | None = None
    predictions: bytes | None = None
    in_history: bool = False
    shallow: bool = False
    own: bool = False  # of this very repository
    links: tuple[str, ...] = ()
    ids: dict[str, str] = field(default_factory=dict)
    other_code: dict[str, tuple[str, ...]] = field(default_factory=dict)  # by file; "" is for the run itself
    named_at: int | None = None
    added_at: int | None = None

    @property
    def experiment(self) -> str:
        """The experiment, by the folder's name."""
        return self.folder.rpartition("/")[2]

    @property
    def part(self) -> str:
        """The part, by the folder's name."""
        return self.folder.split("/")[-2]

    @property
    def of_many(self) -> bool:
        """Whether it is a run of the comparison, of chaos, of scale, or of a broken version."""
        return self.folder.split("/")[1] in OF_MANY

    @property
    def benchmark(self) -> bool:
        """Whether it is a benchmark."""
        return self.part == "bench"


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
    def steps(self) -> list[Step]:
        """What happened, as the history has it."""
        return reference.happened(self.run.events)

    @cached_property
    def ours(self) -> list[Step]:
        """What happened in our own run; nothing if there is none."""
        return reference.ours(self.committed.part, self.committed.experiment)

    def by_other_code(self, file: str = "") -> bool:
        """Whether the code that made a file, or the run itself, is not known to be ours."""
        return bool(self.committed.other_code.get(file))


def own(path: str) -> bytes | None:
    """Return our own text of a file; None if we have no such file."""
    file = ROOT / path
    return file.read_bytes() if file.is_file() else None


def short(text: str | None) -> str:
    """Return the beginning of a text."""
    return plain(text or "nothing", SHOWN)
