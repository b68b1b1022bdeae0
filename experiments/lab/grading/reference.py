"""Whether a run did what our own committed run of the same experiment did, and when it did it.

Where it did not, nothing is wrong with the evidence: it is evidence of another experiment, and a person decides.
"""

import difflib

from lab.grading.evidence import LATE_SECONDS, MAX_TOLD, CannotTell, Evidence, Unsure, Wrong, short
from lab.history.model import Run, Window
from lab.history.steps import Step

START_SECONDS = 30.0  # what a command may take that starts something, or looks twice
EARLY_SECONDS = 0.05
SHORTEST = 0.75  # of our own fault window
TIMED_SECONDS = 5.0  # a shorter window of ours lasts as long as the machine needs, as for a start
AT_ONCE = ("kill", "stop", "pause", "configure", "reset", "unpause")
NOT_OURS = "not this experiment:"


def steps_are_ours(e: Evidence) -> Wrong:
    """Loads and faults are those of our own run, with the same parameters, in the same order."""
    if not e.ours:
        raise CannotTell("we have no run of our own to compare it with")
    mine, theirs = ([step.what for step in steps] for steps in (e.steps, e.ours))
    if mine != theirs and [what[:2] for what in mine] == [what[:2] for what in theirs]:
        yield Unsure(f"{NOT_OURS} its steps are ours with other parameters, as with --quick")
    for kind, a, b, c, d in difflib.SequenceMatcher(None, mine, theirs, autojunk=False).get_opcodes():
        if kind != "equal":
            yield Unsure(f"{NOT_OURS} the history has {_listed(e.steps[a:b])} where our run has {_listed(e.ours[c:d])}")


def _listed(steps: list[Step]) -> str:
    shown = [f"`{short(str(step))}`" for step in steps[:MAX_TOLD]] or ["nothing"]
    return ", ".join(shown) + (f" and {len(steps) - MAX_TOLD} more" if steps[MAX_TOLD:] else "")


def waited_as_ours(e: Evidence) -> Wrong:
    """Each step during a load was done at the same second as in our run."""
    if e.ours and [step.what for step in e.ours] != [step.what for step in e.steps]:
        raise CannotTell("its steps are not those of our run, so its times cannot be compared")
    before, begun = 0.0, {step.name: step.at for step in e.steps if step.kind == "load"}
    for step, was in zip(e.ours, e.steps, strict=False):
        if step.due:
            phase, seconds = step.due
            due = max(begun[phase] + seconds, before)
            late = LATE_SECONDS if step.kind in AT_ONCE else START_SECONDS
            if not due - EARLY_SECONDS <= was.at <= due + late:
                after = was.at - begun[phase]
                yield Unsure(
                    f"{NOT_OURS} `{step}` was done {after:.1f} s into the load {phase}, and in our run after "
                    f"{seconds:.3g} s"
                )
        before = was.at


def windows_as_long(e: Evidence) -> Wrong:
    """Each fault window of some seconds is about as long as in our run, or longer."""
    ours = Run({}, [fault for step in e.ours if (fault := step.as_fault())])
    mine, theirs = _lengths(e.run.windows), _lengths(ours.windows)
    for number, (is_, should) in enumerate(zip(mine, theirs, strict=False), start=1):
        if is_[:2] == should[:2] and should[2] >= TIMED_SECONDS and is_[2] < SHORTEST * should[2]:
            name = f"{short(is_[0])} {short(is_[1])}"
            yield Unsure(f"{NOT_OURS} fault {number} ({name}) lasted {is_[2]:.1f} s, and in our run {should[2]:.1f} s")


def _lengths(windows: list[Window]) -> list[tuple[str, str, float]]:
    return [(w.service, w.what, float("inf") if w.until is None else w.until - w.since) for w in windows]


def loads_lasted(e: Evidence) -> Wrong:
    """Each load began when it was started, and lasted until its last order, or for its seconds."""
    begins = {step.name: step.at for step in e.steps if step.kind == "load"}
    phase_of = {op.op: op.phase for op in e.run.operations}
    ends = {phase_of[end["op"]]: end["at"] for end in e.run.events if end["type"] in ("ok", "fail", "info")}
    for phase in e.run.phases:
        name, duration = phase["phase"], phase["until"] - phase["at"]
        begun = begins.get(name)
        if begun is None or not 0 <= phase["at"] - begun <= LATE_SECONDS:
            yield f"the load {name} did not begin when it was started"
        params = phase["params"]
        if params["loop"] == "closed" and not params.get("count") and duration < params["seconds"]:
            yield f"the load {name} lasted {duration:.1f} s, and should have lasted {params['seconds']:g} s"
        if name in ends and not 0 <= phase["until"] - ends[name] <= LATE_SECONDS:
            yield f"the load {name} ended at {phase['until']:.1f} s, and its last reply came at {ends[name]:.1f} s"


RULES = [steps_are_ours, waited_as_ours, windows_as_long, loads_lasted]
