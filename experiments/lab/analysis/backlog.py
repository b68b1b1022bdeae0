"""How much work waited for a service, from the orders' own timelines: what was asked of it and not yet done.

A queue's depth leaves out what a consumer has been given and not acknowledged; this leaves out nothing.
"""

from bisect import bisect_left, bisect_right
from typing import Any

from lab.history.model import Run, seconds_at

# The state in which an order waits for a service, and those in which it no longer does.
STAGES = {
    "inventory": ("placed", ("reserved", "failed")),
    "notification": ("reserved", ("notified",)),
    "completion": ("placed", ("notified", "failed")),  # for whatever is still to come
}


class Backlog:
    """The orders that waited for one service, at any time of a run."""

    def __init__(self, run: Run, service: str) -> None:
        asks, answers = STAGES[service]
        steps = [(s["status"], seconds_at(run, s["at"])) for o in run.held("order") for s in o["timeline"]]
        self._asked = sorted(at for status, at in steps if status == asks)
        self._done = sorted(at for status, at in steps if status in answers)

    def at(self, second: float) -> int:
        """Return how many orders waited then."""
        return bisect_right(self._asked, second) - bisect_right(self._done, second)

    def peak(self) -> int:
        """Return how many waited when most did."""
        return max((self.at(second) for second in self._asked), default=0)

    def growth(self, since: float, until: float) -> float:
        """Return by how many orders a second it grew."""
        return (self.at(until) - self.at(since)) / (until - since)

    def rate(self, since: float, until: float) -> float:
        """Return how many orders a second were dealt with."""
        return (bisect_right(self._done, until) - bisect_right(self._done, since)) / (until - since)

    def resumed(self, since: float) -> float | None:
        """Return when the first order at or after `since` was dealt with."""
        place = bisect_left(self._done, since)
        return self._done[place] if place < len(self._done) else None

    def finished(self) -> float | None:
        """Return when the last order was dealt with; unlike `drained`, no moment in between counts."""
        return self._done[-1] if self._done else None

    def drained(self, since: float) -> float | None:
        """Return when, at or after `since`, no order waited for the first time."""
        place = bisect_left(self._done, since)
        return next((second for second in self._done[place:] if self.at(second) == 0), None)


def depths(run: Run) -> list[dict[str, Any]]:
    """Return what waited at each sample, `{"at": …, "order-placed": …}`, without what is not known."""
    waiting = {f"orders for {service}": Backlog(run, service) for service in ("inventory", "notification")}
    rows: dict[float, dict[str, Any]] = {}
    for e in run.of_type("depth"):
        at = e["at"]
        if at not in rows:
            rows[at] = {"at": at} | {name: backlog.at(at) for name, backlog in waiting.items()}
        rows[at][e["queue"]] = e["ready"]
    return list(rows.values())
