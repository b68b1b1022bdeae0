"""The time, every wait, and new ids: services take them from here and nowhere else.

So one call, `use`, puts a simulation's clock in the place of the real one: time then passes only where the simulation
says so, and the same seed gives the same ids. What deals with the operating system itself, as sockets, files and
threads, keeps the real time.
"""

import queue
import threading
import time
from datetime import UTC, datetime
from typing import TypeVar

import uuid_utils

T = TypeVar("T")


class Clock:
    """The real time, real waits, and ids that are unique everywhere."""

    def now(self) -> datetime:
        """Return the UTC time."""
        return datetime.now(UTC)

    def monotonic(self) -> float:
        """Return seconds that only grow, whatever is done to the system's time."""
        return time.monotonic()

    def sleep(self, seconds: float) -> None:
        """Do nothing for so long."""
        time.sleep(seconds)

    def wait(self, event: threading.Event, seconds: float) -> bool:
        """Wait until the event is set, at most so long; return whether it is."""
        return event.wait(seconds)

    def take(self, items: "queue.SimpleQueue[T]", seconds: float) -> T:
        """Return the next item, after waiting at most so long. Raises queue.Empty."""
        return items.get(timeout=seconds) if seconds > 0 else items.get_nowait()

    def sortable_id(self) -> str:
        """Return a UUIDv7 (RFC 9562): unique, and later ones sort after earlier ones."""
        return str(uuid_utils.uuid7())

    def random_id(self) -> str:
        """Return a UUIDv4: unique, and not to be guessed."""
        return str(uuid_utils.uuid4())


_clock = Clock()


def use(clock: Clock) -> Clock:
    """Take time, waits and ids from this clock from now on, in the whole process; return the one before."""
    global _clock
    before, _clock = _clock, clock
    return before


def now() -> datetime:
    """Return the UTC time."""
    return _clock.now()


def monotonic() -> float:
    """Return seconds that only grow."""
    return _clock.monotonic()


def sleep(seconds: float) -> None:
    """Do nothing for so long."""
    _clock.sleep(seconds)


def wait(event: threading.Event, seconds: float) -> bool:
    """Wait until the event is set, at most so long; return whether it is."""
    return _clock.wait(event, seconds)


def take(items: "queue.SimpleQueue[T]", seconds: float) -> T:
    """Return the next item, after waiting at most so long. Raises queue.Empty."""
    return _clock.take(items, seconds)


def sortable_id() -> str:
    """Return an id that is unique and sorts by time."""
    return _clock.sortable_id()


def random_id() -> str:
    """Return an id that is unique and cannot be guessed."""
    return _clock.random_id()
