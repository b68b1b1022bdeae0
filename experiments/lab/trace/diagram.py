"""Sequence diagrams of a trace: Mermaid for a page, plain text for a terminal.

A solid arrow is something that arrives for the first time; a dashed one comes again, or is a reply, a confirmation or
an acknowledgement; one that ends in a cross does not arrive.
"""

from collections.abc import Sequence

from lab.trace.entries import Entry

ORDER_OF_LANES = ("client", "order", "rabbitmq", "kafka", "inventory", "notification", "analytics")
BACK = {"reply", "confirm", "ack"}
MARKS = {"crash": "✗ ", "fault": "⚡ "}
WIDTH = 22  # of a lane in the terminal


def lanes(entries: Sequence[Entry]) -> list[str]:
    """Return the lanes that something travels to or from, or happens in, from the client onwards."""
    found = {name for entry in entries for name in (entry.source, entry.target) if name}
    known = [name for name in ORDER_OF_LANES if name in found]
    return known + sorted(found - set(known))


def mermaid(entries: Sequence[Entry]) -> str:
    """Return the diagram as Mermaid's text, without its fence."""
    lines = ["sequenceDiagram", *(f"    participant {_id(lane)} as {lane}" for lane in lanes(entries))]
    for entry in entries:
        text = _escaped(label(entry))
        if entry.target:
            arrow = ("--" if entry.again or entry.kind in BACK else "-") + ("x" if entry.lost else ">>")
            lines.append(f"    {_id(entry.source)}{arrow}{_id(entry.target)}: {text}")
        else:
            lines.append(f"    Note over {_id(entry.source)}: {text}")
    return "\n".join(lines) + "\n"


def text(entries: Sequence[Entry]) -> list[str]:
    """Return the diagram as lines of text, a column for each lane."""
    names = lanes(entries)
    place = {name: WIDTH * n + WIDTH // 2 for n, name in enumerate(names)}
    lines = ["".join(name.center(WIDTH) for name in names).rstrip()]
    for entry in entries:
        row = list(" " * (WIDTH * len(names)))
        for at in place.values():
            row[at] = "│"
        if entry.target and entry.target != entry.source:
            lines += _arrow(row, place[entry.source], place[entry.target], entry)
        else:
            lines.append(_note(row, place[entry.source], label(entry)))
    return lines


def _arrow(row: list[str], start: int, end: int, entry: Entry) -> list[str]:
    """Return the words in one line, and the arrow in the next."""
    words, low, high = row.copy(), min(start, end), max(start, end)
    words[low + 1 : high] = _cut(label(entry), high - low - 1).center(high - low - 1)
    stroke = "┄" if entry.again or entry.kind in BACK else "─"
    row[low + 1 : high] = stroke * (high - low - 1)
    tip = end - 1 if end > start else end + 1
    row[tip] = "╳" if entry.lost else ("▶" if end > start else "◀")
    return ["".join(words).rstrip(), "".join(row).rstrip()]


def _note(row: list[str], at: int, said: str) -> str:
    words = f"[{said}]"
    start = max(0, min(at - len(words) // 2, len(row) - len(words)))
    row[start : start + len(words)] = words
    return "".join(row).rstrip()


def label(entry: Entry) -> str:
    """Return the words at an arrow or in a note."""
    kind = entry.kind if entry.kind in ("commit", "confirm", "ack") or not entry.text else ""
    return MARKS.get(entry.kind, "") + ("again: " if entry.again else "") + f"{kind} {entry.text}".strip()


def _cut(said: str, width: int) -> str:
    return said if len(said) <= width else said[: width - 1] + "…"


def _id(lane: str) -> str:
    """Return a lane's name as Mermaid takes it for an identifier."""
    return "".join(char if char.isalnum() else "_" for char in lane)


def _escaped(said: str) -> str:
    """Return words that Mermaid takes for nothing else: a `;` ends a line there, and a `#` begins a code."""
    return " ".join(said.translate({ord("#"): "#35;", ord(";"): "#59;"}).split()) or " "
