"""The verdicts: what they are called, how they are shown, and the exit status that each one gives."""

from collections.abc import Collection

PASS, FAIL, UNKNOWN = "pass", "fail", "unknown"
EXIT_STATUS = {PASS: 0, FAIL: 1, UNKNOWN: 2}
MARK = {PASS: "✔ pass", FAIL: "✘ **fail**", UNKNOWN: "? unknown"}


def overall(verdicts: Collection[str]) -> str:
    """Return `fail` if anything failed, else `unknown` if anything could not be decided, else `pass`."""
    if FAIL in verdicts:
        return FAIL
    return UNKNOWN if UNKNOWN in verdicts or not verdicts else PASS
