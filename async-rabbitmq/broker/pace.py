"""Rounds of work, kept a little apart while there is much to do, so that messages gather."""

import threading

from campus import clock

EACH_SECONDS = 0.002
MAX_SECONDS = 0.02


class Pace:
    """Says when the next round may begin: the more the last one had to do, the later, up to a limit.

    A round of twenty messages costs hardly more than a round of one: one transaction, one wait for confirmations, one
    wake-up of each thread on the way. Below 500 messages a second no message waits for more than a few milliseconds. A
    round that had all it can take is followed at once by the next.
    """

    def __init__(self) -> None:
        self._next = 0.0

    def wait(self, enough: threading.Event | None = None) -> None:
        """Wait until the next round may begin, or `enough` messages are there."""
        left = self._next - clock.monotonic()
        if left > 0:
            clock.wait(enough or threading.Event(), left)

    def began(self, count: int, *, most: int) -> None:
        """Note that a round begins now with `count` messages of the `most` that it can take."""
        self._next = 0.0 if count == most else clock.monotonic() + min(count * EACH_SECONDS, MAX_SECONDS)
