"""What grading finds: sentences, runs, lines of the rubric, and all of them together: the grade of a clone."""

from array import array
from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from lab.grading.evidence import Notice, Unsure
from lab.grading.likeness import Pair
from lab.grading.text import plain
from lab.history.model import Run
from lab.verdict import EXIT_STATUS, FAIL, PASS, UNKNOWN, overall

NOTICE = "notice"
BY_WEIGHT = (FAIL, UNKNOWN, NOTICE)
MAX_TOLD = 5  # sentences of one rule about one run
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
        """Return what a rule found: the worst sentences first, and with their verdict."""
        told = sorted(wrong, key=lambda sentence: BY_WEIGHT.index(_verdict(sentence)))
        more = [f"and {len(told) - MAX_TOLD:,} more like these"] if told[MAX_TOLD:] else []
        return cls(rule, _verdict(told[0]), [*map(plain, told[:MAX_TOLD]), *more])


def _verdict(sentence: str) -> str:
    return NOTICE if isinstance(sentence, Notice) else UNKNOWN if isinstance(sentence, Unsure) else FAIL


@dataclass
class Graded:
    """One run or benchmark: what was found, and its summary as its raw files give it.

    `made` are the page and the summary as this repository makes them. `times` are when it began and ended, in seconds
    since 1970; `print` is what shows whether two runs are the same one.
    """

    folder: str
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
    def verdict(self) -> str:
        """`pass` if it is what its script and its raw files make, whatever it found."""
        return overall([PASS, *(b.verdict for b in self.broken)])

    @property
    def why(self) -> str:
        """The first and worst of what is wrong, in a sentence."""
        return next((b.sentences[0] for b in self.broken if b.verdict == self.verdict), "")


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
class Grade:
    """What was found in one repository; `fault` says why it could not be graded.

    `headings` are those of the pages that the rubric names, `words` what the student wrote in the hand-in page.
    """

    folder: str
    commit: str = ""
    runs: list[Graded] = field(default_factory=list)
    lines: list[Judged] = field(default_factory=list)
    changes: list[str] = field(default_factory=list)
    pages: list[Finding] = field(default_factory=list)
    similar: list[Pair] = field(default_factory=list)
    headings: dict[str, list[str]] = field(default_factory=dict)
    words: dict[str, str] = field(default_factory=dict)
    fault: str = ""

    def add(self, share: "Grade") -> None:
        """Add what another process found in the same repository."""
        self.commit = share.commit
        self.runs = sorted([*self.runs, *share.runs], key=lambda run: run.folder)
        self.pages += share.pages
        self.changes += share.changes
        self.headings |= share.headings
        self.words |= share.words

    def points(self, *verdicts: str, part: str = "") -> float:
        """Return the points of the lines with these verdicts, or with any; of one part, or of all."""
        return sum(r.points for r in self.lines if r.verdict in (verdicts or EXIT_STATUS) and part in ("", r.part))

    @property
    def status(self) -> int:
        """0 if every line passes, 1 if a line failed, 2 if a line cannot be told and none failed."""
        pages = [page.verdict for page in self.pages if page.verdict in EXIT_STATUS]
        found = [*(line.verdict for line in self.lines), *(r.verdict for r in self.runs), *pages]
        return EXIT_STATUS[UNKNOWN if self.fault else overall(found)]

    @property
    def notices(self) -> list[str]:
        """What an instructor should look at, in a sentence each: what is wrong, the same runs, what is uncommitted."""
        said = [self.fault] if self.fault else []
        said += [f"{run.folder}: {run.why}" for run in self.runs if run.verdict == FAIL]
        said += [sentence for page in self.pages if page.verdict == FAIL for sentence in page.sentences]
        others: dict[str, set[str]] = defaultdict(set)  # the runs that are the same in each other clone
        for pair in self.similar:
            others[pair.other if pair.one == self.folder else pair.one].add(pair.folder)
        if came := sum(run.came for run in self.runs) - len(set().union(*others.values())):
            said.append(f"{came} runs came with the hand-out, or are copies of ours: they earn nothing")
        said += [f"{len(of)} runs are the same as in {name}" for name, of in others.items()]
        if self.changes:
            more = f" and {len(self.changes) - 1} more" if self.changes[1:] else ""
            said.append(f"not committed, so not graded: {self.changes[0]}{more}")
        return said
