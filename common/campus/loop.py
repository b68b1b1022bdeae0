"""Work beside the requests: a step that can be called without a thread, and the thread that repeats it."""

import logging
import os
import threading
from collections.abc import Callable, Mapping

from campus import clock
from campus.lifecycle import Part

log = logging.getLogger("campus")

MAX_BACKOFF = 2.0
STANDSTILL_SECONDS = 10.0  # no round of a loop that works takes this long: no call in one may wait longer than 5 s


class Loop(Part):
    """Calls `step` again and again in a thread of its own, and outlives its exceptions.

    `step` does one round and returns whether there was anything to do. After an idle round the loop waits `idle`
    seconds; after one that raised it waits longer each time, up to two seconds, and `check` says what happened.
    Where a fault makes a round long, `waits_until` returns when that wait ends, by the monotonic clock.
    """

    def __init__(
        self,
        name: str,
        step: Callable[[], bool],
        *,
        idle: float = 0.2,
        waits_until: Callable[[], float] = lambda: 0.0,
        clock: Callable[[], float] = clock.monotonic,
    ) -> None:
        self.name, self._step, self._idle = name, step, idle
        self._waits_until, self._clock = waits_until, clock
        self._stopping = threading.Event()
        self._thread: threading.Thread | None = None
        self._error: str | None = "not started"
        self._ended = clock()  # when the last round ended

    def start(self) -> None:
        """Start the thread."""
        self._error, self._ended = None, self._clock()
        self._thread = threading.Thread(target=self._run, name=self.name, daemon=True)
        self._thread.start()
        log.info("%s started", self.name)

    def stop(self, timeout: float = 5.0) -> None:
        """Ask the thread to stop after this round and wait for it, at most `timeout` seconds."""
        self._stopping.set()
        if self._thread is not None:
            self._thread.join(timeout)
            log.info("%s stopped", self.name)

    @property
    def checks(self) -> Mapping[str, Callable[[], None]]:
        """Its own check, under its name."""
        return {self.name: self.check}

    def check(self) -> None:
        """Raise RuntimeError when the thread does not run, the last round failed, or none has ended for too long."""
        if self._error:
            raise RuntimeError(f"{self.name}: {self._error}")
        if self._thread is not None and not self._thread.is_alive():
            raise RuntimeError(f"{self.name}: its thread has ended")
        still = self._clock() - max(self._ended, self._waits_until())
        if still > STANDSTILL_SECONDS:
            raise RuntimeError(f"{self.name}: no round has ended for {still:.0f} s")

    def round(self, pause: float) -> float:
        """Do one round and return how long to wait before the next, given the last wait."""
        try:
            busy = self._step()
        except Exception as error:  # whatever it is, the work must go on
            said, self._error = self._error, f"{type(error).__name__}: {error}"
            if self._error != said:
                log.error("%s failed: %s", self.name, self._error, exc_info=not isinstance(error, ConnectionError))
            return min(max(2 * pause, self._idle, 0.1), MAX_BACKOFF)
        finally:
            self._ended = self._clock()
        if self._error:
            log.info("%s works again", self.name)
        self._error = None
        return 0.0 if busy else self._idle

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            pause = self.round(pause)


def end_service(why: str) -> None:
    """End the whole service with status 3, which tells gunicorn not to begin again: it must not work as it is."""
    log.critical("this service must not run: %s", why)
    os._exit(3)
