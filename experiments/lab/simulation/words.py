"""A schedule in words, one sentence for each action."""

from collections.abc import Sequence

from lab.simulation.part import Action, SimulatedPart

WORDS = {
    "order": "A client orders {1} {0}.",
    "twice": "A client orders {1} {0} under a key, and again while the first request stands still behind its commit.",
    "step": "{0} does one round.",
    "run": "All work for {0:g} s.",
    "kill": "{0} is killed, and stays dead until it is started.",
    "start": "{0} is started, if it is dead.",
    "crash": "{0} is killed at its next {1}, and then started again.",
    "crash_at": "The process that comes to effect no. {0} is killed there, and then started again.",
    "freeze": "{0} stands still at its next {1}: {3:g} s, and the next {2} actions happen meanwhile.",
    "hold": "One thread of {0} stands still at its next {1}: {3:g} s, and the next {2} actions happen meanwhile.",
    "clock": "The clock of the system is set by {0:+g} h.",
    "disk": "The database of {0} fails: {1}.",
    "configure": "POST /configure of {0}: {1}.",
}
CRASH_IN = "{0} is killed at its next {1} in {2}, and then started again."
KEYED = "A client orders {1} {0} under the Idempotency-Key {2}, as often before."


def sentence(part: SimulatedPart, action: Action) -> str:
    """Return what happens in one action."""
    kind, *values = action
    longer = {"order": KEYED, "crash": CRASH_IN} if len(values) > 2 else {}
    template = {**WORDS, **part.words, **longer}[kind]
    shown = [("yes" if value else "no") if isinstance(value, bool) else value for value in values]
    return template.format(*shown)


def numbered(part: SimulatedPart, schedule: Sequence[Action]) -> list[str]:
    """Return a schedule as a numbered list."""
    return [f"{n}. {sentence(part, action)}" for n, action in enumerate(schedule, 1)]
