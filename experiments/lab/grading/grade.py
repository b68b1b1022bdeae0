"""Grades a repository from what is committed: each run and each benchmark against every rule, then the rubric."""

import gc
import gzip
import json
import tempfile
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, field
from functools import cache
from itertools import zip_longest
from pathlib import Path
from typing import Any

from benchmarks import report as bench_report

from lab.errors import LabError
from lab.grading import provenance, reference, rules
from lab.grading.evidence import CannotTell, CommittedRun, Evidence, Wrong
from lab.grading.repository import Repository
from lab.history import model as history
from lab.history.model import HISTORY, SAMPLES, STATE, TRACE
from lab.paths import PARTS, ROOT
from lab.report import run as run_report
from lab.verdict import FAIL, PASS, UNKNOWN, overall

RAW = (HISTORY, STATE, TRACE, SAMPLES, "run.log")
SHOWN = 100


@dataclass(frozen=True)
class Broken:
    """A rule that a run breaks (`fail`), or that could not be decided (`unknown`), and why in sentences."""

    rule: str
    verdict: str
    sentences: list[str]


@dataclass(frozen=True)
class Graded:
    """One run or benchmark: which of the rules it breaks, and its summary as its raw files give it."""

    folder: str
    rules: int
    broken: list[Broken] = field(default_factory=list)
    summary: dict[str, Any] | None = None

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
        rules = [asdict(broken) for broken in self.broken]
        return {"folder": self.folder, "verdict": self.verdict, "rules": self.rules, "broken": rules}


def graded(repository: Repository) -> list[Graded]:
    """Grade every committed run and benchmark, on all cores."""
    exhibits = committed_runs(repository)
    # A worker lives for a few runs: looking for garbage among their lines costs a third of the time and finds little.
    with ProcessPoolExecutor(initializer=gc.disable) as pool:
        largest_first = sorted(exhibits, key=lambda e: -sum(map(len, e.files.values())))
        found = list(pool.map(grade_committed_run, largest_first))
    return sorted(found, key=lambda g: g.folder)


def committed_runs(repository: Repository) -> list[CommittedRun]:
    """Return the committed runs and benchmarks with all that is needed to grade them."""
    folders: dict[str, list[str]] = {}
    for path in repository.paths:
        words = path.split("/")
        if len(words) >= 4 and words[0] == "results" and words[1] in (*PARTS, "bench"):
            folders.setdefault("/".join(words[:3]), []).append(path)
    known, ours = cache(repository.has), cache(_has_ours())
    return [_committed_run(repository, folder, folders[folder], known, ours) for folder in sorted(folders)]


def _has_ours() -> Callable[[str], bool]:
    """Return what says whether a commit is in the history of this repository, which may have none."""
    try:
        return Repository(ROOT).has
    except LabError:
        return lambda commit: False


def _committed_run(
    repository: Repository, folder: str, paths: list[str], known: Callable[[str], bool], ours: Callable[[str], bool]
) -> CommittedRun:
    script, expected = (f"experiments/{folder.rpartition('/')[2]}.{kind}" for kind in ("sh", "py"))
    contents = repository.read([*paths, script, expected])
    files = {path.removeprefix(f"{folder}/"): contents[path] for path in paths if path in contents}
    commit = _commit(files)
    there = known(commit)
    then = repository.read([script], commit).get(script) if there else None
    now, predictions = contents.get(script), contents.get(expected)
    return CommittedRun(folder, files, now, then, predictions, there, there and ours(commit), repository.shallow)


def _commit(files: dict[str, bytes]) -> str:
    """Return the commit that raw files name; nothing when they cannot be read."""
    try:
        raw = gzip.decompress(files[SAMPLES if SAMPLES in files else HISTORY])
        return str(json.loads(raw.partition(b"\n")[0])["environment"]["commit"])
    except Exception:  # see _make
        return ""


def grade_committed_run(committed: CommittedRun) -> Graded:
    """Check one run, or one benchmark, against every rule."""
    benchmark = committed.part == "bench"
    raw = (SAMPLES,) if benchmark else (HISTORY, STATE)
    missing = [name for name in raw if name not in committed.files]
    if missing:
        return _unreadable(committed, f"there is no {' and no '.join(missing)}, so nothing shows that it was run")
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for file in raw:
            (folder / file).write_bytes(committed.files[file])
        try:
            run = _read_samples(folder) if benchmark else history.read(folder)
        except Exception as error:  # see _make
            return _unreadable(committed, f"its raw files cannot be read: {error}")
        made, summary = _make(folder, bench_report.make if benchmark else run_report.make)
    checked = RULES_OF_A_BENCHMARK if benchmark else RULES
    return Graded(committed.folder, len(checked), [*_broken(checked, Evidence(committed, run, made, summary))], summary)


def _unreadable(committed: CommittedRun, why: str) -> Graded:
    return Graded(committed.folder, 1, [Broken("There are raw files, and they can be read.", FAIL, [why])])


def _read_samples(folder: Path) -> history.Run:
    """Return what the raw file of a benchmark holds: its samples stand where a run has its events."""
    head, *samples = [json.loads(line) for line in gzip.decompress((folder / SAMPLES).read_bytes()).splitlines()]
    return history.Run(head, samples)


def _make(folder: Path, make: Callable[[Path], Any]) -> tuple[dict[str, bytes], dict[str, Any] | None]:
    """Make a report with this repository's code, and return its files and its summary; nothing when that fails."""
    try:
        make(folder)
    except Exception:  # raw files that were tampered with can break anything; that nothing comes of them is told
        return {}, None
    made = {file.name: file.read_bytes() for file in folder.iterdir() if file.name not in RAW}
    return made, json.loads(made["summary.json"])


def _broken(checked: Iterable[Callable[[Evidence], Wrong]], e: Evidence) -> Iterator[Broken]:
    for rule in checked:
        try:
            wrong, verdict = list(rule(e)), FAIL
        except CannotTell as doubt:
            wrong, verdict = [str(doubt)], UNKNOWN
        except Exception as error:  # see _make
            wrong, verdict = [f"the raw files do not fit together: {type(error).__name__} {error}"], FAIL
        if wrong:
            yield Broken((rule.__doc__ or "").strip(), verdict, wrong)


def made_from_raw(e: Evidence) -> Wrong:
    """Every table and figure is, byte for byte, what this repository's code makes from the raw files."""
    if not e.made:
        yield "no report can be made from the raw files"
        return
    doubt = (e.summary or {}).get("doubt")
    left = (*RAW, "report.md", "summary.json") if doubt else RAW  # what says whether other predictions held
    for name in sorted((e.committed.files.keys() | e.made.keys()).difference(left)):
        was, made = e.committed.files.get(name), e.made.get(name)
        if was is None:
            yield f"{name} is missing"
        elif made is None:
            yield f"{name} is not made from the raw files"
        elif was != made:
            yield f"{name} {_first_difference(was, made)}"


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


def named_as_its_folder(e: Evidence) -> Wrong:
    """The benchmark is the one that its folder names."""
    if e.run.head["benchmark"] != e.committed.experiment:
        yield f"it is a benchmark of {e.run.head['benchmark']}, and it is in {e.committed.folder}"


RULES = [*rules.RULES, *reference.RULES, *provenance.RULES, made_from_raw]
RULES_OF_A_BENCHMARK = [
    rules.full_run,
    rules.commit_is_known,
    named_as_its_folder,
    provenance.raw_as_written,
    made_from_raw,
]
