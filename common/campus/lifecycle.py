"""What starts and stops with a service: its parts, such as a database, a worker, a loop."""

from collections.abc import Callable, Mapping
from functools import partial

from prometheus_client import CollectorRegistry

from campus import clock
from campus.bounded import Bounded
from campus.logs import log

STOP_SECONDS = 5.0  # a broker that does not answer must not keep a service from ending
KEPT_SECONDS = 0.5  # of these, what is kept for each part that is still to be stopped


class Part:
    """Something that starts and stops with its service. By itself it does nothing, and lacks nothing."""

    @property
    def checks(self) -> Mapping[str, Callable[[], None]]:
        """What `GET /ready` shows: names, and functions that raise when the part cannot work."""
        return {}

    def start(self) -> None:
        """Begin to work, and return at once."""

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Stop, and wait for it at most `timeout` seconds."""


class PartGroup(Part):
    """Parts that start in this order, and stop in the opposite order.

    Example:

        class Worker(PartGroup):
            def __init__(self, url: str) -> None:
                self._consumer = Consumer(url)
                super().__init__(self._consumer, Loop("worker", self.step))
    """

    def __init__(self, *parts: Part) -> None:
        self.parts = parts

    @property
    def checks(self) -> Mapping[str, Callable[[], None]]:
        """The checks of all parts."""
        return {name: check for part in self.parts for name, check in part.checks.items()}

    def start(self) -> None:
        """Start all parts."""
        for part in self.parts:
            part.start()

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Stop all parts, whatever hangs: within `timeout` seconds in all."""
        deadline = clock.monotonic() + timeout
        for n, part in reversed(list(enumerate(self.parts))):
            seconds = max(0.1, deadline - clock.monotonic() - n * KEPT_SECONDS)
            try:
                Bounded(partial(part.stop, seconds), seconds + 0.1)()
            except Exception as error:
                log.warning("%s not stopped: %s: %s", type(part).__name__, type(error).__name__, error)


class Lifecycle(PartGroup):
    """The parts of one service, and the registry of its metrics; gunicorn's hooks start and stop it."""

    def __init__(self, *parts: Part, registry: CollectorRegistry) -> None:
        super().__init__(*parts)
        self.registry = registry
