"""The sequence diagram of a run: what concerns the orders of a violation, as text for the terminal and as Mermaid."""

from collections.abc import Sequence

from lab.simulation.trace import CLIENT, Entry
from lab.simulation.verdict import SENTINEL, Violation

WIDTH = 14  # of a lane in the terminal
HAPPENS = ("crash", "still", "commit", "note", "fault")  # in one lane
SIDE_WORK = ("(lease)", "(pruning)", "(start)")  # commits that concern no order
MAX_ENTRIES = 80
# In one lane, before the text.
MARKS = {"crash": "✗", "still": "…", "commit": "■", "fault": "!", "note": "·"}


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
    if entry.kind == "commit":
        return entry.text not in SIDE_WORK
    return entry.kind in HAPPENS or entry.target is not None


def lanes(entries: Sequence[Entry], order: Sequence[str]) -> list[str]:
    """Return the lanes that something happens in, the client first."""
    used = {lane for entry in entries for lane in (entry.source, entry.target) if lane}
    return [lane for lane in (CLIENT, *order) if lane in used]


def as_text(entries: Sequence[Entry], names: Sequence[str]) -> list[str]:
    """Return the diagram for a terminal: lanes as columns, and the words beside them."""
    lines = ["    time  " + "".join(name.center(WIDTH) for name in names).rstrip()]
    for entry in entries:
        cells = [" " * (WIDTH // 2) + "|" + " " * (WIDTH - WIDTH // 2 - 1) for _ in names]
        row = list("".join(cells))
        _draw(row, entry, names)
        lines.append(f"{entry.at:8.2f}  {''.join(row)} {_label(entry)}".rstrip())
    return lines


def _draw(row: list[str], entry: Entry, names: Sequence[str]) -> None:
    start = _middle(names.index(entry.source))
    if entry.target is None:
        row[start] = MARKS.get(entry.kind, "·")
        return
    end = _middle(names.index(entry.target))
    left, right = sorted((start, end))
    for at in range(left + 1, right):
        row[at] = "-" if not entry.again or at % 2 else " "
    row[start] = "o"
    inner = end - 1 if end > start else end + 1
    row[inner] = "x" if entry.lost else ">" if end > start else "<"


def _middle(n: int) -> int:
    return n * WIDTH + WIDTH // 2


def _label(entry: Entry) -> str:
    kind = "" if entry.kind in ("call", "reply", "message", "note", "fault", "still", "crash") else f"{entry.kind} "
    return f"{kind}{entry.text}{', again' if entry.again else ''}".strip()


def as_mermaid(entries: Sequence[Entry], names: Sequence[str]) -> list[str]:
    """Return the diagram as Mermaid."""
    lines = ["sequenceDiagram", *(f"  participant {_id(name)} as {name}" for name in names)]
    for entry in entries:
        text = _label(entry).replace(";", ",").replace("#", "no. ") or entry.kind
        if entry.target is None:
            mark = {"crash": "✗ ", "still": "⏸ "}.get(entry.kind, "")
            lines.append(f"  Note over {_id(entry.source)}: {mark}{text}")
        else:
            arrow = "-x" if entry.lost else "-->>" if entry.again else "->>"
            lines.append(f"  {_id(entry.source)}{arrow}{_id(entry.target)}: {text}")
    return lines


def _id(name: str) -> str:
    return name.replace("-", "_")
