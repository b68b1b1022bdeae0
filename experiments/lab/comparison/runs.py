"""The figures of a cell of the comparison: one model under one condition, all from the raw files of its run."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from functools import cached_property
from itertools import accumulate
from typing import Any

from lab.analysis import latency
from lab.checker import invariants, losses
from lab.errors import LabError
from lab.history.model import Operation, Run, seconds_at
from lab.services import services_of
from lab.verdict import UNKNOWN

LOAD = "orders"  # the load that is compared; others warm up
LATE_SECONDS = 1.0
ROUNDING = 2e-6
MODELS = {"sync-rest": "A: REST", "async-rabbitmq": "B: RabbitMQ", "streaming-kafka": "C: Kafka"}


@dataclass(frozen=True)
class OrderOutcome:
    """One order of the load: when its client meant to send it, and when it was final or refused; None if never."""

    sent: float
    ended: float | None
    notified: bool = False

    @property
    def in_time(self) -> bool:
        """Whether its student was notified soon enough."""
        return self.notified and self.ended is not None and self.ended - self.sent <= LATE_SECONDS


class ComparedRun:
    """One model under one condition."""

    def __init__(self, condition: str, part: str, run: Run, summary: dict[str, Any]) -> None:
        self.condition, self.part, self.run = condition, part, run
        self.summary = summary  # of its run
        phases = [phase for phase in run.phases if phase["phase"] == LOAD]
        if not phases:
            raise LabError(f"{part}/{condition} has no load `{LOAD}`")
        self.load = phases[0]
        self.operations = [op for op in run.operations if op.phase == LOAD]
        self._orders = {order["user_id"]: order for order in run.held("order")}

    @property
    def place(self) -> str:
        """Its folder below the comparison's."""
        return f"{self.part}/{self.condition}"

    @property
    def title(self) -> str:
        """What its condition is called: its script's title, without what all of them have."""
        return self.run.head["title"].removeprefix("Compared: ").removesuffix(f" ({self.part})")

    @cached_property
    def fault(self) -> tuple[float, float] | None:
        """When it was disturbed, in seconds since the load began; None where it was not."""
        windows = self.run.windows
        if not windows:
            return None
        ends = [self.run.events[-1]["at"] if w.until is None else w.until for w in windows]
        return min(w.since for w in windows) - self.load["at"], max(ends) - self.load["at"]

    @cached_property
    def outcomes(self) -> list[OrderOutcome]:
        """What became of each order, in seconds since the load began."""
        return [self._outcome(op) for op in self.operations]

    @cached_property
    def notified(self) -> list[dict[str, Any]]:
        """The load's orders whose student was notified."""
        found = (self._orders.get(op.op) for op in self.operations)
        return [order for order in found if order and order["status"] == "notified"]

    def done_at(self) -> list[float]:
        """Return when each of them was notified, in seconds since the load began."""
        return sorted(self._last_step(order) for order in self.notified)

    def figures(self) -> dict[str, Any]:
        """Return all figures of the cell; what is not known is None."""
        accepted = [op for op in self.operations if op.result == "ok"]
        received = self._received()
        connections = len(self.run.of_type("connection")) or None  # some systems do not show them
        return {
            "condition": self.condition,
            "model": self.part,
            "verdict": self.summary["verdict"],
            "sent": len(self.operations),
            "accepted": len(accepted),
            "accepted_share": round(len(accepted) / len(self.operations), 4) if self.operations else None,
            **_percentiles("accept", map(latency.latency, accepted)),
            "notified": len(self.notified),
            **_percentiles("completion", (f.ended - f.sent for f in self.outcomes if f.notified and f.ended)),
            **_percentiles("from_placed", (latency.completion(self.run, order) for order in self.notified)),
            "told": dict(sorted(Counter(op.kind for op in self.operations).items())),
            "backlog_peak": self.backlog_peak(),
            "fault": [round(at, 6) for at in self.fault] if self.fault else None,
            "recovered": self.recovered(),
            "recover_s": self.time_to_recover(),
            **self._losses(),
            "received": received,
            "messages_per_order": self._per_order(sum(received.values()) if received is not None else None),
            "connections": connections,
            "connections_per_order": self._per_order(connections),
        }

    def backlog_peak(self) -> int:
        """Return the most orders that were meant to be sent, and neither final nor refused, at any one time."""
        steps = [(outcome.sent, 1) for outcome in self.outcomes]
        steps += [(outcome.ended, -1) for outcome in self.outcomes if outcome.ended is not None]
        return max(accumulate(step for _, step in sorted(steps)), default=0)

    def time_to_recover(self) -> float | None:
        """Return the seconds from the end of the fault until the last order that was not notified within 1 s was over.

        An order is over when it is final or refused. None where there was no fault, or where one is never over.
        """
        if self.fault is None or not self.recovered():
            return None
        until = self.fault[1]
        late = [f.ended for f in self.outcomes if f.ended is not None and not f.in_time]
        return round(max((ended - until for ended in late if ended > until), default=0.0), 6)

    def recovered(self) -> bool | None:
        """Return whether every order was over in the end; None where there was no fault."""
        return None if self.fault is None else all(outcome.ended is not None for outcome in self.outcomes)

    def arrivals(self) -> dict[str, tuple[float, Any]]:
        """Return when each order of the load was meant to be sent, since it began, and of what."""
        sent = [e for e in self.run.events if e["type"] in ("invoke", "dropped") and e["phase"] == LOAD]
        return {e["op"]: (e["intended"] - self.load["at"], e.get("items")) for e in sent}

    def _outcome(self, op: Operation) -> OrderOutcome:
        order = self._orders.get(op.op)
        sent = op.intended - self.load["at"]
        if order is None:
            gone = op.ended is None or op.result == "ok"  # an order that was accepted must be there
            return OrderOutcome(sent, None if gone else op.ended - self.load["at"])
        ended = self._last_step(order) if order["status"] in invariants.FINAL else None
        return OrderOutcome(sent, ended, order["status"] == "notified")

    def _last_step(self, order: dict[str, Any]) -> float:
        return seconds_at(self.run, order["timeline"][-1]["at"]) - self.load["at"]

    def _losses(self) -> dict[str, list[str] | None]:
        """Return the orders that were lost, duplicated, left unresolved; None when that cannot be decided."""
        decided = all(finding["verdict"] != UNKNOWN for finding in self.summary["invariants"])
        evidence = invariants.RunIndex(self.run)
        kinds = (losses.lost, losses.duplicated, losses.unresolved)
        return {kind.__name__: sorted(kind(evidence)) if decided else None for kind in kinds}

    def _received(self) -> dict[str, int] | None:
        """Return the messages received, by endpoint, queue or group; None when a process did not say."""
        notes = self.run.of_type("messages")
        ended = Counter(e["service"] for e in self.run.of_type("fault") if e["verb"] in ("kill", "stop"))
        lives = {
            service: 1 + ended[service] for service, each in services_of(self.part, {}).items() if not each.is_broker
        }
        if Counter(note["service"] for note in notes) != lives:
            return None
        received: Counter[str] = Counter()
        for note in notes:
            received.update(note["received"])
        return dict(sorted(received.items()))

    def _per_order(self, count: int | None) -> float | None:
        """Return a count by the orders of all loads, those that warm up included."""
        return None if count is None else round(count / len(self.run.operations), 4)


def _percentiles(what: str, seconds: Iterable[float]) -> dict[str, float | None]:
    found = latency.figures(seconds)
    return {f"{what}_{name}": found[name] for name in ("p50", "p99")}


def same_arrivals(one: ComparedRun, other: ComparedRun) -> str | None:
    """Say how the arrivals of two cells differ, or return None when they are the same."""
    mine, theirs = one.arrivals(), other.arrivals()
    if one.load["params"] != other.load["params"]:
        return f"{one.place} and {other.place} were loaded otherwise: {one.load['params']}, {other.load['params']}"
    for op in sorted(mine.keys() | theirs.keys()):
        if op not in mine or op not in theirs:
            return f"order {op} came in {(one if op in mine else other).place} only, and not in both"
        (at, items), (at_other, items_other) = mine[op], theirs[op]
        if abs(at - at_other) > ROUNDING or (items and items_other and items != items_other):
            return f"order {op} came otherwise in {one.place} than in {other.place}"
    return None
