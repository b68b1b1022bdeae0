"""What grading finds: sentences, runs, and what one process says of its share of a clone."""

from array import array
from collections.abc import Iterable
from dataclasses import asdict, dataclass, field
from itertools import zip_longest
from pathlib import Path
from typing import Any

from lab.grading.evidence import Notice, Unsure
from lab.grading.text import plain
from lab.history.model import Run
from lab.verdict import FAIL, PASS, UNKNOWN, overall

NOTICE = "notice"
SHOWN = 100
PAGES = "Every page over many runs is what these runs give."
CAME = "It is a run of the student who hands it in."


@dataclass(frozen=True)
class Finding:
    """A rule that a run breaks (`fail`), that could not be decided (`unknown`), or a notice; why, in sentences."""

    rule: str
    verdict: str
    sentences: list[str]

    @classmethod
    def of(cls, rule: str, wrong: Iterable[str]) -> "Finding":
        """Return what a rule found, with the worst verdict of its sentences."""
        wrong = list(wrong)
        kinds = {NOTICE if isinstance(w, Notice) else UNKNOWN if isinstance(w, Unsure) else FAIL for w in wrong}
        verdict = NOTICE if kinds == {NOTICE} else overall(kinds - {NOTICE})
        return cls(rule, verdict, [plain(sentence) for sentence in wrong])


@dataclass
class Graded:
    """One run or benchmark: what was found, and its summary as its raw files give it.

    `made` are the page and the summary as this repository makes them. `times` are when it began and ended, in seconds
    since 1970; `print` is what shows whether two runs are the same one.
    """

    folder: str
    rules: int
    findings: list[Finding] = field(default_factory=list)
    summary: dict[str, Any] | None = field(default=None, repr=False)
    made: dict[str, bytes] = field(default_factory=dict, repr=False)
    times: tuple[float, float] | None = None
    print: tuple[array, array] | None = field(default=None, repr=False)
    run: Run | None = field(default=None, repr=False)  # until what is made of many runs is made

    @property
    def broken(self) -> list[Finding]:
        """What is wrong, or cannot be told; not the notices."""
        return [finding for finding in self.findings if finding.verdict != NOTICE]

    @property
    def came(self) -> bool:
        """Whether it is a copy, as far as can be told."""
        return any(finding.rule == CAME for finding in self.findings)

    @property
    def notices(self) -> list[str]:
        """What changes no verdict."""
        return [sentence for f in self.findings if f.verdict == NOTICE for sentence in f.sentences]

    @property
    def verdict(self) -> str:
        """`pass` if it is what its script and its raw files make, whatever it found."""
        return overall([PASS, *(b.verdict for b in self.broken)])

    @property
    def why(self) -> str:
        """The first and worst of what is wrong, in a sentence."""
        return next((b.sentences[0] for b in self.broken if b.verdict == self.verdict), "")

    def as_dict(self) -> dict[str, Any]:
        """Return it as JSON has it."""
        return {"folder": self.folder, "verdict": self.verdict, "rules": [asdict(f) for f in self.findings]}


@dataclass(frozen=True)
class Share:
    """The runs of one clone that one process grades: each `of`-th share of them, beginning with `share`.

    `pictures` is the folder into which plots are drawn, if they are wanted. With `redraw` every plot is compared.
    """

    folder: Path
    share: int = 0
    of: int = 1
    pictures: Path | None = None
    redraw: bool = False


@dataclass
class Part:
    """What came of a task. Headings are those of the pages that the rubric names."""

    runs: list[Graded]
    commit: str = ""
    pages: list[Finding] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    headings: dict[str, list[str]] = field(default_factory=dict)


def differs(name: str, was: bytes | None, made: bytes | None) -> str:
    """Return in a sentence how a file differs from what is made of the raw files; nothing if it does not."""
    if was is None:
        return f"{name} is missing"
    if made is None:
        return f"{name} is not made from the raw files"
    return "" if was == made else f"{name} {_first_difference(was, made)}"


def _first_difference(committed: bytes, made: bytes) -> str:
    """Return where two files differ first: the line, as it is and as it should be."""
    pairs = zip_longest(*(content.decode(errors="replace").split("\n") for content in (committed, made)))
    for n, (is_, should) in enumerate(pairs, start=1):
        if is_ != should:
            return f"line {n} is `{_cut(is_, should)}`, and the raw files give `{_cut(should, is_)}`"
    return "has bytes that are no text"


def _cut(line: str | None, other: str | None) -> str:
    """Return a line, without what comes long before its difference to the other."""
    if line is None:
        return "the end"
    same = next((n for n, (a, b) in enumerate(zip(line, other or "", strict=False)) if a != b), 0)
    start = max(0, same - SHOWN // 2)
    cut = line[start : start + SHOWN].strip()
    return f"{'…' if start else ''}{cut}{'…' if start + SHOWN < len(line) else ''}"
