"""What the log of a service says, as it grows: of the order service, how long each reply took."""

import functools
import json
import time
from collections import Counter, deque
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.live.facts import KEPT_SECONDS, RECENT_SECONDS, quantiles
from lab.live.lists import seconds
from lab.runtime.lifecycle import Runtime
from lab.runtime.local import LocalRuntime
from lab.services import Service

ORDER = b'"path":"/order"'
MOST = 4 * 2**20  # of a log that is read at once
ASK_SECONDS = 0.9  # between two questions to Docker, which cost


class FileTail:
    """What is written to a log file from now on, whole lines only."""

    def __init__(self, log: Path) -> None:
        self._log = log
        self._place = log.stat().st_size if log.exists() else 0
        self._rest = b""

    def __call__(self) -> list[bytes]:
        """Return the lines that were written since the last time."""
        size = self._log.stat().st_size if self._log.exists() else 0
        if size < self._place:  # it was begun anew
            self._place, self._rest = 0, b""
        if size == self._place:
            return []
        with self._log.open("rb") as file:
            file.seek(self._place)
            new = file.read(MOST)
        self._place += len(new)
        *lines, self._rest = (self._rest + new).split(b"\n")
        return lines


class ContainerTail:
    """What a container says from now on, asked for once a second.

    A command that follows it would be left behind by a page that is killed.
    """

    def __init__(self, said_since: Callable[[str], list[tuple[str, bytes]]]) -> None:
        self._said_since, self._stamp, self._asked = said_since, datetime.now(UTC).isoformat(), 0.0

    def __call__(self) -> list[bytes]:
        """Return the lines that it said since the last time."""
        if time.monotonic() < self._asked + ASK_SECONDS:
            return []
        self._asked = time.monotonic()
        found = [(stamp, line) for stamp, line in self._said_since(self._stamp) if stamp > self._stamp]
        self._stamp = max([self._stamp, *(stamp for stamp, _ in found)])
        return [line for _, line in found]


def tail_of(runtime: Runtime, service: Service) -> Callable[[], list[bytes]]:
    """Return a function that returns the lines that a service wrote since the last call."""
    if isinstance(runtime, LocalRuntime):
        return FileTail(runtime.log_file(service))
    return ContainerTail(functools.partial(runtime.said_since, service))


class Replies:
    """The replies of an order service, from the lines that it writes for each request; `new` returns the new ones."""

    def __init__(self, new: Callable[[], list[bytes]]) -> None:
        self._new = new
        self.by_second: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()
        self._recent: deque[tuple[float, float]] = deque()

    def follow(self, now: float) -> None:
        """Read what was written since the last time."""
        for line in self._new():
            if ORDER in line:
                self._take(json.loads(line))
        while self._recent and self._recent[0][0] < now - RECENT_SECONDS:
            self._recent.popleft()
        for counts in (self.by_second, self.refused):
            for second in [s for s in counts if s < now - KEPT_SECONDS]:
                del counts[second]

    def _take(self, line: dict[str, Any]) -> None:
        at = seconds(line["at"])
        self.by_second[int(at)] += 1
        if line["status"] >= 300:
            self.refused[int(at)] += 1
        else:
            self._recent.append((at, line["ms"] / 1000))

    @property
    def quantiles(self) -> list[float | None]:
        """The p50 and p99 of the last 10 s, in seconds, as the service measured them."""
        return quantiles(took for _, took in self._recent)
