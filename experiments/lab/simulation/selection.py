"""What a sequence diagram of a run shows: the entries that concern the orders of a violation."""

from collections.abc import Sequence

from lab.simulation.verdict import SENTINEL, Violation
from lab.trace.entries import Entry

HAPPENS = ("crash", "still", "commit", "note", "fault")  # in one lane
MAX_ENTRIES = 80


def relevant(trace: Sequence[Entry], violations: Sequence[Violation]) -> list[Entry]:
    """Return what concerns the orders of the violations, and what happened to processes, up to the healing."""
    end = next((n for n, entry in enumerate(trace) if entry.text == "everything is healed"), len(trace))
    before = trace[:end] if any(entry.target for entry in trace[:end]) else trace
    subjects = {subject for violation in violations for subject in violation.subjects}
    ids = _related(before, subjects)
    shown = [entry for entry in before if _concerns(entry, ids)]
    return shown[:MAX_ENTRIES]


def _related(trace: Sequence[Entry], subjects: set[str]) -> set[str]:
    """Return these subjects with the operations and orders that are the same thing; all if they name no order."""
    groups = [set(entry.about.split()) for entry in trace if entry.about]
    known = set().union(*groups) if groups else set()
    ids = (subjects & known) or (known - {SENTINEL})
    for group in groups:
        if group & ids:
            ids = ids | group
    return ids


def _concerns(entry: Entry, ids: set[str]) -> bool:
    if entry.about:
        return bool(set(entry.about.split()) & ids)
    return entry.kind in HAPPENS or entry.target is not None
