"""The verdicts: what they are called, how they are shown, and the exit status that each one gives."""

from collections.abc import Collection, Iterable

PASS, FAIL, UNKNOWN = "pass", "fail", "unknown"
EXIT_STATUS = {PASS: 0, FAIL: 1, UNKNOWN: 2}
MARK = {PASS: "✔ pass", FAIL: "✘ **fail**", UNKNOWN: "? unknown"}
MARK_IN_A_GRADE = {PASS: "pass", FAIL: "FAIL", UNKNOWN: "cannot tell"}


def overall(verdicts: Collection[str]) -> str:
    """Return `fail` if anything failed, else `unknown` if anything could not be decided, else `pass`."""
    if FAIL in verdicts:
        return FAIL
    return UNKNOWN if UNKNOWN in verdicts or not verdicts else PASS


def worst_status(statuses: Iterable[int]) -> int:
    """Return 1 if one of these exit statuses is 1, else 2 if one is 2, else 0."""
    found = set(statuses)
    return next((status for status in (1, 2) if status in found), 0)
