"""How busy the machine is, and with what: other programs make latencies longer, and the load generator late."""

import os
import time
from collections import defaultdict
from collections.abc import Iterable
from typing import Any

import psutil

from lab.paths import STATE_DIR
from lab.runtime import processes


class Others:
    """Sees how much of a core the processes use that are not ours: this one, those given, and what they started."""

    def __init__(self, ours: Iterable[int] = ()) -> None:
        self._ours = {os.getpid(), *ours}
        self.look()

    def look(self, ours: Iterable[int] = ()) -> tuple[float, dict[str, float]]:
        """Return the cores used since the last look, and the three that used most: `{"java (123)": 0.31}`."""
        self._ours |= {*ours}
        now, used, names = time.monotonic(), {}, {}
        for process in psutil.process_iter(["pid", "ppid", "name", "cpu_times"]):
            found = process.info
            if found["ppid"] in self._ours:  # by id, so parents come first, but for a few that soon use little
                self._ours.add(found["pid"])
            if found["pid"] not in self._ours and found["cpu_times"]:
                used[found["pid"]] = found["cpu_times"].user + found["cpu_times"].system
                names[found["pid"]] = f"{found['name']} ({found['pid']})"
        before, since = getattr(self, "_last", (used, now - 1.0))
        self._last = used, now
        cores = {names[pid]: (seconds - before.get(pid, 0.0)) / (now - since) for pid, seconds in used.items()}
        busiest = sorted(cores, key=cores.__getitem__, reverse=True)[:3]
        return round(sum(cores.values()), 3), {name: round(cores[name], 3) for name in busiest}


class Machine:
    """Sees, over one load, how many cores were busy, and how many of them with other programs than the experiment's."""

    def __init__(self) -> None:
        self._others = Others(_recorded())
        self._began = time.monotonic(), _busy_seconds()

    def seen(self) -> dict[str, Any]:
        """Return what was seen since the beginning, as the history notes it."""
        others, by_process = self._others.look(_recorded())
        began, busy = self._began
        by_name: defaultdict[str, float] = defaultdict(float)
        for process, cores in by_process.items():
            by_name[process.rpartition(" (")[0]] += cores
        busiest = {
            name: round(cores, 2) for name, cores in sorted(by_name.items(), key=lambda item: -item[1]) if cores >= 0.01
        }
        cores = (_busy_seconds() - busy) / (time.monotonic() - began)
        return {"busy": round(cores, 2), "others": round(others, 2), "busiest": busiest}


def _busy_seconds() -> float:
    """Return the processor time that the machine has used since it was started, all cores together."""
    times = psutil.cpu_times()
    return sum(times) - times.idle - getattr(times, "iowait", 0.0) - getattr(times, "guest", 0.0)


def _recorded() -> set[int]:
    """Return the processes that the laboratory started, and the experiment's script, by their records."""
    records = map(processes.load, (STATE_DIR / "run").rglob("*.json"))
    return {record.pid for record in records if record is not None}
