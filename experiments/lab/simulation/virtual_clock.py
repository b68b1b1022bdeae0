"""Time that passes only when the simulation says so, and ids that are the same for the same run."""

import queue
import threading
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import TypeVar

from campus import clock

T = TypeVar("T")

EPOCH = datetime(2026, 1, 1, tzinfo=UTC)
IDLE_SECONDS = 0.25  # a loop that waits so long for work waits no longer: whatever comes is there in its next round


class VirtualClock(clock.Clock):
    """The clock of one simulation. `pass_time(seconds)` is called for each wait that takes time."""

    def __init__(self, *, pass_time: Callable[[float], None], receive: Callable[[], None]) -> None:
        self._pass_time, self._receive = pass_time, receive
        self.begin()

    def begin(self) -> None:
        """Begin a run at second 0."""
        self.seconds, self._ids = 0.0, 0
        self.set_by = timedelta()  # how far the system's time was set

    def now(self) -> datetime:
        """Return the UTC time."""
        return EPOCH + timedelta(seconds=self.seconds) + self.set_by

    def monotonic(self) -> float:
        """Return the seconds since the run began."""
        return self.seconds

    def sleep(self, seconds: float) -> None:
        """Let time pass, and others act."""
        self._pass_time(seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Let what is there arrive; if the event is not set then, let the time pass."""
        self._receive()
        if not event.is_set() and seconds > IDLE_SECONDS:
            self._pass_time(seconds)
            self._receive()
        return event.is_set()

    def take(self, items: "queue.SimpleQueue[T]", seconds: float) -> T:
        """Return the next item. Raises queue.Empty, and waits for none."""
        return items.get_nowait()

    def sortable_id(self) -> str:
        """Return o0001, then o0002."""
        return f"o{self._next():04d}"

    def random_id(self) -> str:
        """Return r0003, say."""
        return f"r{self._next():04d}"

    def _next(self) -> int:
        self._ids += 1
        return self._ids
