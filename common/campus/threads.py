"""A fixed number of threads for a queue of jobs."""

import threading
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any


class Threads:
    """At most `size` threads that do the jobs put in, first come, first served.

    They are daemons: one that hangs does not keep the process from its end. `put` is for one thread only.
    """

    def __init__(self, size: int, do: Callable[[Any], None]) -> None:
        self._do, self._left = do, size
        self._jobs: SimpleQueue[Any] = SimpleQueue()
        self._idle = threading.Semaphore(0)

    def put(self, job: Any) -> None:
        """Queue a job; start a thread for it if none is idle."""
        self._jobs.put(job)
        if self._left and not self._idle.acquire(blocking=False):
            self._left -= 1
            threading.Thread(target=self._run, daemon=True).start()

    def shutdown(self, wait: bool = False) -> None:
        """Do nothing: gunicorn calls this when it quits."""

    def _run(self) -> None:
        while True:
            self._do(self._jobs.get())
            self._idle.release()
