"""Whether a committed run is what its committed script makes: in full, in order, and for as long as it says.

Each rule is a function whose docstring is the rule in one sentence; it yields what is wrong, in a sentence each. A rule
that cannot be decided raises CannotTell. What the raw files themselves must be like is in `authentic`.
"""

import difflib
import tempfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from lab import story, telling
from lab.history import Run
from lab.places import LabError
from lab.telling import Step, Told, Untold

LATE_SECONDS = 2.0  # what a command of a script may take until it has done its work
START_SECONDS = 30.0  # and one that starts something, or looks twice
EARLY_SECONDS = 0.05
MOST_TOLD, SHOWN = 3, 300
AT_ONCE = ("kill", "stop", "pause", "configure", "reset", "unpause")
DISTURBING, MENDING = ("kill", "stop", "pause"), ("start", "unpause")

Wrong = Iterator[str]


class CannotTell(Exception):
    """A rule that cannot be decided; says why."""


@dataclass(frozen=True)
class Exhibit:
    """The committed files of one run, and what git knows of how it was made."""

    folder: str
    files: dict[str, bytes]
    script: bytes | None
    script_then: bytes | None
    in_history: bool
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
    """An exhibit, read: its run, what its script says in full, and what is made from the raw files once more.

    `made` holds the files that `./lab report` makes, and `summary` their figures; empty and None if it cannot.
    """

    def __init__(self, exhibit: Exhibit, run: Run, made: dict[str, bytes], summary: dict[str, Any] | None) -> None:
        self.exhibit, self.run, self.made, self.summary = exhibit, run, made, summary

    @property
    def commit(self) -> str:
        """The commit that the run names."""
        return self.run.head["environment"]["commit"]

    @cached_property
    def steps(self) -> list[Step]:
        """What happened, as the history has it."""
        return telling.happened(self.run)

    @cached_property
    def told(self) -> Told:
        """What the script says that it does. Raises CannotTell."""
        if self.exhibit.script is None:
            raise CannotTell(f"there is no experiments/{self.exhibit.experiment}.sh to compare it with")
        try:
            return telling.tell(self.exhibit.script)
        except Untold as error:
            raise CannotTell(f"experiments/{self.exhibit.experiment}.sh cannot be told: {error}") from None

    @cached_property
    def pairs(self) -> list[tuple[Step, Step]]:
        """Each step that the script says, with the one that happened. Raises CannotTell when they are not the same."""
        if [step.what for step in self.told.steps] != [step.what for step in self.steps]:
            raise CannotTell("what happened is not what the script says, so its times say nothing")
        return list(zip(self.told.steps, self.steps, strict=True))

    @cached_property
    def begun(self) -> dict[str, float]:
        """When each load was started."""
        return {step.name: step.at for step in self.steps if step.kind == "load"}


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
    if e.told.part != head["part"]:
        yield f"the run says that its part is {head['part']}, and its script says {e.told.part}"
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


def script_was_the_same(e: Evidence) -> Wrong:
    """The script said the same at the commit that it names as it does now."""
    if not e.exhibit.in_history or e.exhibit.script_then == e.exhibit.script:
        return
    name = f"experiments/{e.exhibit.experiment}.sh"
    if e.exhibit.script_then is None:
        yield f"there was no {name} at commit {e.commit}, which it names"
        return
    try:
        then = telling.tell(e.exhibit.script_then)
    except Untold as error:
        raise CannotTell(f"{name} as it was at {e.commit} cannot be told: {error}") from None
    for difference in _differences(then.steps, e.told.steps, f"at {e.commit} the script said", "now it says"):
        yield f"{name} was changed after the run: {difference}"


def story_as_told(e: Evidence) -> Wrong:
    """Predictions, loads and disturbances are those of the script, in its order."""
    found = list(_differences(e.steps, e.told.steps, "the history has", "the script says"))
    if found and _is_quick_story(e):
        yield "its loads and disturbances are those of the script with --quick"
    yield from found


def _is_quick_story(e: Evidence) -> bool:
    quick = telling.tell(e.exhibit.script or b"", quick=True)
    return [step.what for step in quick.steps] == [step.what for step in e.steps]


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


def waited_as_told(e: Evidence) -> Wrong:
    """What the script does some seconds into a load was done then."""
    before = 0.0
    for said, was in e.pairs:
        if said.due:
            phase, seconds = said.due
            due = max(e.begun[phase] + seconds, before)
            latest = due + (LATE_SECONDS if said.kind in AT_ONCE else START_SECONDS)
            if not due - EARLY_SECONDS <= was.at <= latest:
                after = was.at - e.begun[phase]
                yield f"`{said}` was done {after:.1f} s into the load {phase}, and the script says {seconds:g} s"
        before = was.at


def outages_lasted(e: Evidence) -> Wrong:
    """What was killed, stopped or frozen was so for as long as the script says."""
    open_: dict[str, tuple[Step, Step]] = {}
    for said, was in e.pairs:
        if said.kind in DISTURBING:
            open_[said.name] = (said, was)
        elif said.kind in MENDING and said.name in open_:
            first, began = open_.pop(said.name)
            if first.due and said.due and first.due[0] == said.due[0]:
                planned, lasted = said.due[1] - first.due[1], was.at - began.at
                room = START_SECONDS if said.kind == "start" else 0.0
                if not planned - LATE_SECONDS <= lasted <= planned + LATE_SECONDS + room:
                    yield f"{said.name} was away for {lasted:.1f} s ({first.kind}), and the script says {planned:g} s"


def loads_lasted(e: Evidence) -> Wrong:
    """Each load began when it was started, and lasted until its last order, or for its seconds."""
    ends: dict[str, float] = {}
    phase_of = {op.op: op.phase for op in e.run.operations}
    for event in e.run.events:
        if event["type"] in ("ok", "fail", "info"):
            ends[phase_of[event["op"]]] = event["at"]
    for phase in e.run.phases:
        name, lasted = phase["phase"], phase["until"] - phase["at"]
        begun = e.begun.get(name)
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
    script_was_the_same,
    story_as_told,
    waited_as_told,
    outages_lasted,
    loads_lasted,
]
