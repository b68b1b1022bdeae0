"""Whether a committed run is what its script makes: in full, in order, and for as long as our own run of it.

Each rule is a function whose docstring is the rule in one sentence; it yields what is wrong, in a sentence each. A rule
that cannot be decided raises CannotTell. What the raw files themselves must be like is in `authentic`. Nothing that a
student wrote is run: a run is held against our own committed run, and a text against our own.
"""

import difflib
import re
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lab import reference, story
from lab.checker import predictions
from lab.history import Run
from lab.places import ROOT, LabError
from lab.reference import Step

LATE_SECONDS = 2.0  # what a command of a script may take until it has done its work
START_SECONDS = 30.0  # and one that starts something, or looks twice
EARLY_SECONDS = 0.05
MOST_TOLD, SHOWN = 3, 300
AT_ONCE = ("kill", "stop", "pause", "configure", "reset", "unpause")
OUTAGE = ("kill", "stop", "pause", "start", "unpause")

Wrong = Iterator[str]


class CannotTell(Exception):
    """A rule that cannot be decided; says why."""


@dataclass(frozen=True)
class Exhibit:
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


class Evidence:
    """An exhibit, read: its run, and what is made from the raw files once more.

    `made` holds the files that `./lab report` makes, and `summary` their figures; empty and None if it cannot.
    """

    def __init__(self, exhibit: Exhibit, run: Run, made: dict[str, bytes], summary: dict[str, Any] | None) -> None:
        self.exhibit, self.run, self.made, self.summary = exhibit, run, made, summary

    @property
    def commit(self) -> str:
        """The commit that the run names."""
        return self.run.head["environment"]["commit"]

    @cached_property
    def script_then(self) -> bytes | None:
        """The script with which it was made, as far as git knows."""
        if self.exhibit.of_ours:
            return own(self.script)
        return self.exhibit.script_then if self.exhibit.in_history else self.exhibit.script

    @property
    def script(self) -> str:
        """The path of its script."""
        return f"experiments/{self.exhibit.experiment}.sh"

    @cached_property
    def steps(self) -> list[Step]:
        """What happened, as the history has it."""
        return reference.happened(self.run)

    @cached_property
    def ours(self) -> list[Step] | None:
        """What happened in our own run, which may be missing; None for a run that was made with another script."""
        if self.script_then is None or self.script_then != own(self.script):
            return None
        return reference.ours(self.exhibit.part, self.exhibit.experiment)

    @cached_property
    def pairs(self) -> list[tuple[Step, Step]]:
        """Each step of our own run, with the one that happened. Raises CannotTell when they are not the same."""
        if self.ours and [step.what for step in self.ours] != [step.what for step in self.steps]:
            raise CannotTell("what happened is not what happened in our run, so its times say nothing")
        return list(zip(self.ours or [], self.steps, strict=False))


def own(path: str) -> bytes | None:
    """Return our own text of a file; None if we have no such file."""
    file = ROOT / path
    return file.read_bytes() if file.is_file() else None


def full_run(e: Evidence) -> Wrong:
    """It is a full run, not a quick one."""
    if e.run.head["quick"]:
        yield "it is a quick run, which is no full evidence"


def right_version(e: Evidence) -> Wrong:
    """It is a run of the services as they are, and not of a version that is broken on purpose."""
    if "broken" in e.run.head:
        yield f"one of its services was broken on purpose: {e.run.head['broken']}"


def same_name(e: Evidence) -> Wrong:
    """Experiment, part, title and explanation are those of the folder and of the committed script."""
    head, exhibit = e.run.head, e.exhibit
    for name, is_, should in (
        ("experiment", head["experiment"], exhibit.experiment),
        ("part", head["part"], exhibit.part),
    ):
        if is_ != should:
            yield f"the run says that its {name} is {is_}, and it lies in {exhibit.folder}"
    title, about = _header(exhibit)
    for name, is_, should in (
        ("title", head["title"], title),
        *((s, head["about"].get(s), about.get(s)) for s in SECTIONS),
    ):
        if is_ != should:
            yield f"the run says in its {name} `{_short(is_)}`, and the script says `{_short(should)}`"


SECTIONS = ("Shows", "Why", "Not shown")


def _header(exhibit: Exhibit) -> tuple[str, dict[str, str]]:
    with tempfile.TemporaryDirectory() as folder:
        script = Path(folder, f"{exhibit.experiment}.sh")
        script.write_bytes(exhibit.script or b"")
        try:
            return story.read_header(script)
        except (LabError, UnicodeDecodeError):
            return "", {}


def commit_is_known(e: Evidence) -> Wrong:
    """The commit that it names is in the repository's history, without uncommitted changes."""
    if e.commit.endswith("+changes"):
        raise CannotTell(f"it was made with uncommitted changes ({e.commit}), so nobody knows by which code")
    if e.commit == "none":
        raise CannotTell("it was made outside of git, so nobody knows by which code")
    if not e.exhibit.in_history:
        if e.exhibit.shallow:
            raise CannotTell(f"commit {e.commit} may be beyond the end of this shallow clone")
        yield f"commit {e.commit}, which it names, is not in the history of this repository"


def script_is_ours(e: Evidence) -> Wrong:
    """Its script is the one that we have, and was so when it ran."""
    if e.exhibit.in_history and e.script_then is None:
        yield f"there was no {e.script} at commit {e.commit}, which it names"
        return
    yield from _same_text(e.script, own(e.script), e.exhibit.script, e.script_then)


def predictions_are_ours(e: Evidence) -> Wrong:
    """Its predictions are the ones that we have, and were so when it ran."""
    path = f"experiments/{e.exhibit.experiment}.py"
    then, ours = predictions.text_of(e.run), own(path)
    yield from _same_text(path, ours, e.exhibit.predictions, ours if then is None else then.encode())


def _same_text(path: str, ours: bytes | None, now: bytes | None, then: bytes | None) -> Wrong:
    """Yield how a text was changed after the run. Raises CannotTell for one that was changed before it."""
    if now is None:
        raise CannotTell(f"there is no {path}")
    if now != then:
        yield f"{path} was changed after the run: {_diff(then or b'', now)}"
    elif ours is None:
        raise CannotTell(f"we have no {path} to hold it against")
    elif now != ours:
        raise CannotTell(f"{path} is not ours, judge yourself: {_diff(ours, now)}")


def _diff(old: bytes, new: bytes) -> str:
    """Return the first lines that differ between two texts."""
    texts = (text.decode(errors="replace").splitlines() for text in (old, new))
    lines = [line for line in difflib.unified_diff(*texts, n=0, lineterm="") if line[:2] not in ("--", "++", "@@")]
    shown = [f"`{_short(line)}`" for line in lines[: 2 * MOST_TOLD]]
    return ", ".join(shown) + (f" and {len(lines) - len(shown)} more" if lines[len(shown) :] else "")


def steps_are_ours(e: Evidence) -> Wrong:
    """Loads and disturbances are those of our own run, with the same parameters, in the same order."""
    if e.ours is None:  # another script, which is said
        return
    if not e.ours:
        raise CannotTell("we have no run of our own to hold it against")
    found = list(_differences(e.steps, e.ours, "the history has", "our run has"))
    if found and [(step.kind, step.name) for step in e.steps] == [(step.kind, step.name) for step in e.ours]:
        yield "its steps are ours with other parameters, as with --quick"
    yield from found


def _differences(mine: list[Step], theirs: list[Step], i_say: str, they_say: str) -> Wrong:
    """Yield where two stories differ: what only one has, and what one has in place of another."""
    matcher = difflib.SequenceMatcher(None, [s.what for s in mine], [s.what for s in theirs], autojunk=False)
    for kind, a, b, c, d in matcher.get_opcodes():
        if kind == "equal":
            continue
        yield f"{i_say} {_listed(mine[a:b])} where {they_say} {_listed(theirs[c:d])}"


def _listed(steps: list[Step]) -> str:
    """Return a few steps in words."""
    shown = [f"`{_short(str(step))}`" for step in steps[:MOST_TOLD]] or ["nothing"]
    return ", ".join(shown) + (f" and {len(steps) - MOST_TOLD} more" if steps[MOST_TOLD:] else "")


def waited_as_ours(e: Evidence) -> Wrong:
    """What our run did some seconds into a load was done then, and so each outage lasted as long as ours."""
    before, begun = 0.0, {step.name: step.at for step in e.steps if step.kind == "load"}
    for step, was in e.pairs:
        if planned := _planned(step, e.ours or []):
            phase, seconds = planned
            due = max(begun[phase] + seconds, before)
            early = EARLY_SECONDS if step.due else LATE_SECONDS
            late = LATE_SECONDS if step.kind in AT_ONCE else START_SECONDS
            if not due - early <= was.at <= due + late:
                after = was.at - begun[phase]
                yield f"`{step}` was done {after:.1f} s into the load {phase}, and in our run after {seconds:.3g} s"
        before = was.at


def _planned(step: Step, ours: list[Step]) -> tuple[str, float] | None:
    """Return when our run was to do a step: so many seconds into a load.

    A run that was made before `due` was noted tells by when it did it. That can go when the runs are made anew.
    """
    if step.kind not in OUTAGE or any(other.due for other in ours):
        return step.due
    during = [load for load in ours if load.kind == "load" and 0 < step.at - load.at < _seconds(load)]
    return (during[-1].name, step.at - during[-1].at) if during else None


def _seconds(step: Step) -> float:
    found = re.search(r"\bseconds=([\d.]+)", step.detail)
    return float(found[1]) if found else 0.0


def loads_lasted(e: Evidence) -> Wrong:
    """Each load began when it was started, and lasted until its last order, or for its seconds."""
    ends: dict[str, float] = {}
    begins = {step.name: step.at for step in e.steps if step.kind == "load"}
    phase_of = {op.op: op.phase for op in e.run.operations}
    for event in e.run.events:
        if event["type"] in ("ok", "fail", "info"):
            ends[phase_of[event["op"]]] = event["at"]
    for phase in e.run.phases:
        name, lasted = phase["phase"], phase["until"] - phase["at"]
        begun = begins.get(name)
        if begun is None or not 0 <= phase["at"] - begun <= LATE_SECONDS:
            yield f"the load {name} did not begin when it was started"
        params = phase["params"]
        if params["loop"] == "closed" and not params.get("count") and lasted < params["seconds"]:
            yield f"the load {name} lasted {lasted:.1f} s, and should have lasted {params['seconds']:g} s"
        if name in ends and not 0 <= phase["until"] - ends[name] <= LATE_SECONDS:
            yield f"the load {name} ended at {phase['until']:.1f} s, and its last reply came at {ends[name]:.1f} s"


def _short(text: str | None) -> str:
    text = text or "nothing"
    return text if len(text) <= SHOWN else f"{text[: SHOWN - 1]}…"


RULES: list[Callable[[Evidence], Wrong]] = [
    full_run,
    right_version,
    same_name,
    commit_is_known,
    script_is_ours,
    predictions_are_ours,
    steps_are_ours,
    waited_as_ours,
    loads_lasted,
]
