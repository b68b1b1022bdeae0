"""Whether a run did what our own committed run of the same experiment did, and when it did it.

The rules are functions as in `evidence`.
"""

import difflib
import re
from collections.abc import Callable

from lab.grading.rules import LATE_SECONDS, MOST_TOLD, CannotTell, Evidence, Wrong, short
from lab.history.steps import Step

START_SECONDS = 30.0  # what a command may take that starts something, or looks twice
EARLY_SECONDS = 0.05
AT_ONCE = ("kill", "stop", "pause", "configure", "reset", "unpause")
OUTAGE = ("kill", "stop", "pause", "start", "unpause")


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
    shown = [f"`{short(str(step))}`" for step in steps[:MOST_TOLD]] or ["nothing"]
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


RULES: list[Callable[[Evidence], Wrong]] = [steps_are_ours, waited_as_ours, loads_lasted]
