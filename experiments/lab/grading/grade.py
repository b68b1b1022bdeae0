"""Grades one run or one benchmark: every rule, from its committed files."""

import contextlib
import json
from collections.abc import Callable, Iterable, Iterator
from datetime import datetime
from pathlib import Path
from typing import Any

from benchmarks import report as bench_report

from lab.checker import predictions
from lab.grading import likeness, provenance, raw, reference, rules
from lab.grading.committed import command_of
from lab.grading.evidence import CannotTell, CommittedRun, Evidence, Notice, Unsure, Wrong, short
from lab.grading.findings import CAME, Finding, Graded
from lab.grading.ours import id_of, ours
from lab.grading.text import differs, plain
from lab.history.model import HISTORY, SAMPLES, STATE, TRACE, Run
from lab.report import plot
from lab.report import run as run_report
from lab.report.run import PLOT
from lab.verdict import FAIL, UNKNOWN

RAW = (HISTORY, STATE, TRACE, SAMPLES, "run.log")
PAGES = ("report.md", "summary.json")
THE_SAME = "it came with the hand-out, byte for byte, so it earns nothing: run {} and commit what it makes"


def grade_committed_run(committed: CommittedRun, *, picture: Path | None = None, redraw: bool = False) -> Graded:
    """Check one run, or one benchmark, against every rule; draw its picture if a path is given."""
    needed = (SAMPLES,) if committed.benchmark else (HISTORY, STATE)
    missing = [name for name in needed if name not in committed.files]
    if missing:
        return _unreadable(committed, f"there is no {' and no '.join(missing)}, so nothing shows that it was run")
    try:
        run = raw.read(committed.files, benchmark=committed.benchmark)
        made, summary = _make(run, committed, redraw)
        if picture is not None and summary is not None and not committed.benchmark:
            picture.parent.mkdir(parents=True, exist_ok=True)
            picture.write_bytes(made.get(PLOT) or plot.drawn(run, summary["predictions"], coarse=True))
    except Exception as error:  # raw files that were tampered with can break anything
        return _unreadable(committed, f"its raw files cannot be read: {error or type(error).__name__}")
    evidence = Evidence(committed, run, made, summary)
    checked = RULES_OF_A_BENCHMARK if committed.benchmark else RULES_OF_MANY if committed.of_many else RULES
    found = [*_findings(checked, evidence)]
    if not committed.own and ours().had(committed.ids.get(needed[0], "")):
        found.insert(0, Finding(CAME, UNKNOWN, [THE_SAME.format(command_of(committed.folder))]))
    pages = {name: made[name] for name in PAGES if name in made}
    graded = Graded(committed.folder, found, summary, pages, run=run)
    if "began_at" in run.head:
        began = datetime.fromisoformat(run.head["began_at"]).timestamp()
        graded.times = began, began + max((e["at"] for e in run.events), default=0.0)
    if not committed.of_many:
        with contextlib.suppress(Exception):  # see above
            graded.print = likeness.print_of(run, benchmark=committed.benchmark)
    return graded


def as_ours(folder: str, files: dict[str, bytes]) -> Graded:
    """Return a run that is ours byte for byte: nothing of it has to be made again."""
    finding = Finding(CAME, UNKNOWN, [THE_SAME.format(command_of(folder))])
    summary = json.loads(files["summary.json"]) if "summary.json" in files else None
    return Graded(folder, [finding], summary, files)


def _unreadable(committed: CommittedRun, why: str) -> Graded:
    return Graded(committed.folder, [Finding("There are raw files, and they can be read.", FAIL, [plain(why)])])


def _make(run: Run, committed: CommittedRun, redraw: bool) -> tuple[dict[str, bytes], dict[str, Any] | None]:
    """Make the pages with this repository's code, and return them with the summary; nothing when that fails."""
    try:
        if committed.benchmark:
            made = bench_report.files(run.head, run.events)
        else:
            digest = run_report.digest_in(committed.files.get("summary.json", b""))
            made = run_report.files(_judged_by_ours(run), digest=None if redraw else digest)
        return made, json.loads(made["summary.json"])
    except Exception:  # raw files that were tampered with can break anything; that nothing comes of them is told
        return {}, None


def _judged_by_ours(run: Run) -> Run:
    """Return a run with our predictions in place of an older version of ours, if it has one."""
    then, path = predictions.text_of(run), predictions.path_of(run.head)
    if then is None or path is None or not ours().had(id_of(then.encode())):
        return run
    newest = {"type": "predictions", "text": path.read_text()}
    return Run(run.head, [e | newest if e["type"] == "predictions" else e for e in run.events], run.state, run.trace)


def _findings(checked: Iterable[Callable[[Evidence], Wrong]], e: Evidence) -> Iterator[Finding]:
    for rule in checked:
        says = (rule.__doc__ or "").strip()
        try:
            wrong = list(rule(e))
        except CannotTell as doubt:
            wrong = [Unsure(doubt)]
        except Exception as error:  # see above
            wrong = [f"the raw files do not fit together: {type(error).__name__} {error}"]
        if wrong:
            yield Finding.of(says, wrong)


def made_from_raw(e: Evidence) -> Wrong:
    """Every table and figure is, byte for byte, what this repository's code makes from the raw files."""
    if not e.made:
        yield "no report can be made from the raw files"
        return
    committed = e.committed.files
    for name in e.committed.links:
        yield f"{name} is a link, or too large"
    doubt = (e.summary or {}).get("doubt")
    left = {*RAW, *e.committed.links, *(PAGES if doubt else ())}
    digest = run_report.digest_in(committed.get("summary.json", b""))
    if digest and PLOT in committed and PLOT not in e.made:
        left.add(PLOT)
        if digest != run_report.digest_of(committed[PLOT]):
            yield f"{PLOT} is not the picture whose digest summary.json has"
    elif digest and not {PLOT} & {*committed, *e.made, *e.committed.links}:
        yield f"{PLOT} is missing"
    for name in sorted((committed.keys() | e.made.keys()).difference(left)):
        if wrong := differs(name, committed.get(name), e.made.get(name)):
            yield Notice(f"{wrong} (made by other code)") if e.by_other_code(name) else wrong


def named_as_its_folder(e: Evidence) -> Wrong:
    """The benchmark is the one that its folder names."""
    if e.run.head["benchmark"] != e.committed.experiment:
        yield f"it is a benchmark of {plain(str(e.run.head['benchmark']))}, and it is in {e.committed.folder}"


def in_its_place(e: Evidence) -> Wrong:
    """The run is the one that its folder names."""
    place = e.committed.folder.removeprefix("results/")
    if e.run.head.get("place") != place:
        yield f"it is the run of {plain(str(e.run.head.get('place')))}, and it is in {e.committed.folder}"


def raw_lines_are_there(e: Evidence) -> Wrong:
    """The raw lines of all orders are committed."""
    for kept in e.run.of_type("raw"):
        yield Notice(
            f"the lines of its orders are not committed ({kept['files']} files, {kept['megabytes']} MB, SHA-256 "
            f"{short(kept['sha256'])}): its invariants are what the run noted of them, and cannot be decided again here"
        )


RULES = [*rules.RULES, *reference.RULES, *provenance.RULES, made_from_raw]
RULES_OF_MANY = [in_its_place, raw_lines_are_there, *rules.OF_A_COMMIT, *provenance.OF_RAW_FILES, made_from_raw]
RULES_OF_A_BENCHMARK = [
    rules.full_run,
    *rules.OF_A_COMMIT,
    named_as_its_folder,
    provenance.raw_as_written,
    made_from_raw,
]
