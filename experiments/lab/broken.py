"""Whether the checker finds the mistake of a broken version: judged from the raw files of two runs of one experiment.

The run with the broken version must fail in what the version names, and in nothing else. The run with the right version
must pass. No order that was done before the fault may break an invariant in either run.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from lab.errors import LabError
from lab.history import model as history
from lab.history import steps
from lab.history.model import Run
from lab.report import run as run_report
from lab.report.format import page, prediction_row, verdict_sentence
from lab.runtime.broken import BrokenVersion
from lab.verdict import FAIL, PASS, UNKNOWN, overall

CALM = "warm-"  # the load before the disturbance
Said = Iterator[tuple[str, str]]  # (verdict, sentence)
Summary = dict[str, Any]


@dataclass(frozen=True)
class Judged:
    """One version: its verdict, and why; what failed, the events of one order, the result of the right version."""

    version: BrokenVersion
    verdict: str
    why: str
    failed: tuple[str, ...] = ()
    story: Sequence[str] = ()
    right: str = "–"


def judge(version: BrokenVersion, folder: Path) -> Judged:
    """Judge a version by its runs, `red` with it and `green` without: `pass` if the right check finds the mistake."""
    try:
        runs = history.read(folder / "red"), history.read(folder / "green")
    except LabError as error:
        return Judged(version, UNKNOWN, str(error))
    return judge_runs(version, *((run, run_report.summarise(run)) for run in runs))


def judge_runs(version: BrokenVersion, red: tuple[Run, Summary], green: tuple[Run, Summary]) -> Judged:
    """Judge a version by its two runs and their summaries."""
    runs, (wrong, right) = (red[0], green[0]), (red[1], green[1])
    found = [*_same_story(version, *runs)]
    if right["verdict"] != PASS:
        found.append((right["verdict"], f"the right version did not pass: {verdict_sentence(right)}"))
    found += _failed_rightly(version, runs[0], wrong)
    verdict = overall([v for v, _ in found]) if found else PASS
    why = next((sentence for v, sentence in found if v == verdict), "found")
    failed = tuple(_in_words(check) for check in _checks(wrong) if check["verdict"] == FAIL)
    stories = (v["story"] for i in wrong["invariants"] for v in i["violations"] if v["story"])
    return Judged(version, verdict, why, failed, next(stories, []), verdict_sentence(right))


def _same_story(version: BrokenVersion, red: Run, green: Run) -> Said:
    """Yield what shows that these are not two runs of the version's story, with it and without it."""
    for run, broken in ((red, version.name), (green, None)):
        is_ = (run.head["part"], run.head["experiment"], run.head.get("broken"))
        if is_ != (version.part, version.story, broken):
            yield FAIL, f"a run is of {is_[0]}, {is_[1]}, {is_[2] or 'the right version'}"
    done = [[step.what for step in steps.happened(run.events)] for run in (red, green)]
    if done[0] != done[1]:
        yield FAIL, "the two runs have different steps"


def _failed_rightly(version: BrokenVersion, run: Run, summary: dict[str, Any]) -> Said:
    """Yield where the broken version does not fail for the reason that it names, or fails for another one, too."""
    verdicts = {check["id"]: check["verdict"] for check in _checks(summary)}
    if UNKNOWN in verdicts.values():
        yield UNKNOWN, f"the broken version cannot be judged: {summary['invariants'][0]['sentence']}"
        return
    for name, verdict in verdicts.items():
        if verdict == FAIL and name not in version.caught_by:
            yield FAIL, f"it failed for another reason: {name}"
    for name in version.caught_by:
        if verdicts.get(name) != FAIL:
            yield FAIL, f"it did not fail: {name}"
    for violation in (violation for invariant in summary["invariants"] for violation in invariant["violations"]):
        subject = violation["subject"]
        order = run.orders[subject]["user_id"] if subject in run.orders else subject
        if order.startswith(CALM):
            yield FAIL, f"{order}, which was done before the fault, breaks an invariant"


def _checks(summary: dict[str, Any]) -> list[dict[str, Any]]:
    return [*summary["invariants"], *summary["predictions"]]


def _in_words(check: dict[str, Any]) -> str:
    """Return what failed: an invariant has a rule, a prediction has numbers."""
    if "violations" in check:
        return f"{check['id']}: {check['rule']} {check['sentence']}"
    _, predicted, measured, _ = prediction_row(check)
    return f"{check['id']}: {check['sentence']}: predicted {predicted}, measured {measured}"


def write_report(judged: list[Judged]) -> str:
    """Return the index of these versions as Markdown."""
    return page("report/templates/broken.md.j2", judged=judged)
