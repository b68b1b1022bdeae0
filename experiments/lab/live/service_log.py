"""What the log of a service says, as it grows: of the order service, how long each reply took."""

import json
from collections import Counter, deque
from pathlib import Path
from typing import Any

from lab.analysis.latency import Latencies
from lab.live.facts import KEPT_SECONDS, seconds

ORDER = b'"path":"/order"'
MOST = 4 * 2**20  # of a log that is read at once
LAST_SECONDS = 10.0


class Replies:
    """The replies of an order service, from the lines that it writes for each request."""

    def __init__(self, log: Path | None) -> None:
        self._log = log if log is not None and log.exists() else None
        self._place = self._log.stat().st_size if self._log else 0
        self._rest = b""
        self.by_second: Counter[int] = Counter()
        self.refused: Counter[int] = Counter()
        self._recent: deque[tuple[float, float]] = deque()

    def follow(self, now: float) -> None:
        """Read what was written since the last time."""
        if self._log is None:
            return
        if self._log.stat().st_size < self._place:  # it was begun anew
            self._place, self._rest = 0, b""
        with self._log.open("rb") as file:
            file.seek(self._place)
            new = file.read(MOST)
            self._place += len(new)
            data = self._rest + new
        lines = data.split(b"\n")
        self._rest = lines.pop()
        for line in lines:
            if ORDER in line:
                self._take(json.loads(line))
        while self._recent and self._recent[0][0] < now - LAST_SECONDS:
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
        return Latencies(took for _, took in self._recent).quantiles((0.5, 0.99))
