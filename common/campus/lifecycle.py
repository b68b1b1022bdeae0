"""What starts and stops with a service."""

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Protocol

from prometheus_client import CollectorRegistry

from campus.bounded import Bounded
from campus.logs import log

STOP_SECONDS = 5.0  # a broker that does not answer must not keep a service from ending
CLOSE_SECONDS = 2.0  # of these, what is kept for closing


class Runs(Protocol):
    """What runs in the background of a service: a loop, or a connection with a thread of its own."""

    @property
    def start(self) -> Callable[[], None]:
        """Starts it, and returns at once."""

    @property
    def stop(self) -> Callable[[float], None]:
        """Stops it, and waits at most so many seconds."""


@dataclass
class Lifecycle:
    """The loops of a service and what they use; gunicorn's hooks start and stop it."""

    loops: Sequence[Runs] = ()
    closing: Sequence[Callable[[], None]] = ()
    registry: CollectorRegistry = field(default_factory=CollectorRegistry)

    def start(self) -> None:
        """Start the background loops."""
        for loop in self.loops:
            loop.start()

    def stop(self) -> None:
        """Stop the loops, then close what they used: within STOP_SECONDS in all, whatever hangs."""
        deadline = time.monotonic() + STOP_SECONDS
        for loop in self.loops:
            loop.stop(max(0.1, deadline - CLOSE_SECONDS - time.monotonic()))
        for close in self.closing:
            try:
                Bounded(close, max(0.1, deadline - time.monotonic()))()
            except Exception as error:
                log.warning("not closed: %s: %s", type(error).__name__, error)
