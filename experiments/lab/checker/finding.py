"""What the checker found of one invariant, in words."""

from dataclasses import dataclass, field
from typing import Any

from lab.verdict import FAIL, PASS, UNKNOWN

Violation = dict[str, Any]


@dataclass
class Finding:
    """What was found of one invariant; `violations` names the orders, with their events in order of time."""

    id: str
    rule: str
    verdict: str
    sentence: str
    violations: list[Violation] = field(default_factory=list)


def found(
    id: str, says: str | None, doubt: str | None, broken: int, wrong: list[Violation], orders: int, operations: int
) -> Finding:
    """Return the finding of a rule, which says this, and is broken so often; `wrong` holds the first times."""
    text = (says or "").strip()
    if doubt:
        return Finding(id, text, UNKNOWN, f"Cannot tell: {doubt}.")
    if not broken:
        return Finding(id, text, PASS, f"Holds for {orders:,} orders and {operations:,} requests.")
    names = ", ".join(one["subject"] for one in wrong[:3]) + (" …" if broken > 3 else "")
    sentence = f"Broken {broken:,} time{'s' if broken > 1 else ''}: {names} ({wrong[0]['wrong']})."
    return Finding(id, text, FAIL, sentence, wrong)
