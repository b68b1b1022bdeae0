"""What a prediction may ask of a run. Every answer is a number; it is NaN where the run does not say."""

import json
from collections import Counter
from functools import cached_property
from typing import Any

from campus.metrics import metrics

from lab.analysis import backlog, reports
from lab.checker import losses
from lab.checker.figure import Figure, StandIn, attribute, figure
from lab.checker.formula import Formula
from lab.checker.invariants import RunIndex
from lab.checker.parts import Backlog, Fault, Lag, Load, Recorded
from lab.history import model as history

# What `/configure` of a service takes; a test holds it against campus.
SETTINGS = ("delay", "jitter", "failure_rate", "failure_mode", "crash_point", "paused", "throttle", "timeout", "seed",
            "expires_in")  # fmt: skip
DISTURBED = ("killed", "stopped", "frozen", *SETTINGS)


class Run(Recorded):
    """A run, as predictions ask it. In a stand-in there is no run yet, and every number is 1.0.

    A stand-in that is told the script's loads and services refuses others: a misspelt name is found before the run.
    """

    label = ""

    def __init__(
        self, raw: history.Run, phases: dict[str, Any], stand_in: bool = False, names: dict[str, Any] | None = None
    ) -> None:
        super().__init__(raw, phases, stand_in)
        self._known = names or {}
        self.part: str = raw.head["part"]
        self.quick: bool = raw.head["quick"]

    @classmethod
    def before(cls, part: str, quick: bool, names: dict[str, Any]) -> "Run":
        """Return the stand-in of a run that is still to come; `names` are those of its `load`s and `service`s."""
        return cls(history.Run({"part": part, "quick": quick}, []), {}, True, names)

    def load(self, name: str) -> Load:
        """Return a load of the script."""
        self._check("load", name)
        return Load(self, name)

    def fault(self, service: str, what: str) -> Fault:
        """Return what was done to a service: "killed", "stopped", "frozen", or a setting such as "delay"."""
        self._check("service", service)
        if what not in DISTURBED:
            raise LookupError(f"nothing is {what!r}; there are: {', '.join(DISTURBED)}")
        return Fault(self, service, what)

    def backlog(self, stage: str) -> Backlog:
        """Return the orders that waited for "inventory", for "notification", or for their "completion"."""
        if stage not in backlog.STAGES:
            raise LookupError(f"orders do not wait for {stage!r}; they wait for: {', '.join(backlog.STAGES)}")
        return Backlog(self, stage)

    def lag(self, service: str) -> Lag:
        """Return the lag of a service's consumer group."""
        self._check("service", service)
        return Lag(self, service)

    def report(self, noted: str) -> dict[str, Figure]:
        """Return a report of analytics by the name under which the script noted it: `["totalOrdersSeen"]` …"""
        if self.stand_in:
            return dict.fromkeys(reports.flat(metrics({}, 0, 0, now=0)), StandIn(1.0))
        figures = reports.flat(reports.reports(self.raw)[noted])
        return {name: Figure(v, Formula(v, name=f'report("{noted}")["{name}"]')) for name, v in figures.items()}

    @figure
    def report_differences(self, one: str, other: str) -> int:
        """Return how many figures differ between two reports."""
        noted = reports.reports(self.raw)
        return len(reports.differences(noted[one], noted[other]))

    @figure
    def rows_changed(self, before: str, after: str) -> int:
        """Return how many reservations, stock levels and notifications differ between two snapshots."""
        one, two = ({json.dumps(row) for row in self._snapshot(name)["rows"]} for name in (before, after))
        return len(one ^ two)

    @figure
    def handled(self, queue: str, before: str, after: str) -> int:
        """Return how many messages of a queue were done between two snapshots."""
        return self._snapshot(after)["handled"][queue] - self._snapshot(before)["handled"][queue]

    @figure
    def queue_peak(self, queue: str, since: float, until: float) -> int:
        """Return the most messages that were seen in a queue, or rows in the outbox, in that time."""
        seen = (e for e in self.raw.of_type("depth") if e["queue"] == queue and since <= e["at"] <= until)
        return max(e["ready"] for e in seen)

    @figure
    def published(self, name: str) -> int:
        """Return how many messages the script published under this name."""
        return sum(e["name"] == name for e in self.raw.of_type("published"))

    @figure
    def dead_letters(self, queue: str) -> int:
        """Return how many messages lie in the queue's dead-letter queue at the end."""
        return sum(dead["queue"] == queue for dead in self._dead())

    @figure
    def dead_lettered_once(self, name: str) -> int:
        """Return how many of the messages published under this name are dead letters, once each, with a reason."""
        dead = Counter((d["queue"], d["message_id"]) for d in self._dead() if d["reason"])
        published = (e for e in self.raw.of_type("published") if e["name"] == name)
        return sum(dead[e["queue"], e["message_id"]] == 1 for e in published)

    @figure
    def owned_partitions(self, table: str, service: str) -> int:
        """Return how many partitions had an owner in the service's group, in the lag table noted under this name."""
        rows = {e["name"]: e["rows"] for e in self.raw.of_type("lag table")}[table]
        return sum(row["group"] == f"{service}-consumer-group" and bool(row["client"]) for row in rows)

    @figure
    def reservations(self, status: str) -> int:
        """Return how many reservations are in this state at the end."""
        return sum(r["status"] == status for r in self.state_of("inventory", "reservation"))

    lost = attribute(lambda self: len(losses.lost(self._evidence)))  # acknowledged, and not there or not done
    duplicated = attribute(lambda self: len(losses.duplicated(self._evidence)))  # done twice
    misordered = attribute(lambda self: sum(map(_misordered, self.state_of("order", "order"))))  # by their steps
    unresolved = attribute(lambda self: len(losses.unresolved(self._evidence)))  # in no final state
    faults_drawn = attribute(lambda self: len((self.raw.schedule or {})["faults"]))  # by the seed

    @figure
    def faults_done(self, kind: str = "") -> int:
        """Return how many faults were really done, of one kind or of all."""
        return sum(kind in ("", k) for k in self.raw.carried_out())

    @cached_property
    def _evidence(self) -> RunIndex:
        for service, what in (("order", "order"), ("inventory", "reservation"), ("notification", "notification")):
            self.state_of(service, what)
        return RunIndex(self.raw)

    def _dead(self) -> list[dict[str, Any]]:
        self.state_of("kafka", "dead")
        return self.state_of("rabbitmq", "dead")

    def _snapshot(self, name: str) -> dict[str, Any]:
        return {e["name"]: e for e in self.raw.of_type("snapshot")}[name]

    def _check(self, kind: str, name: str) -> None:
        if name not in self._known.get(kind, (name,)):
            raise LookupError(f"there is no {kind} {name!r} here; there are: {', '.join(self._known[kind])}")


def _misordered(order: dict[str, Any]) -> bool:
    """Whether an order's steps were not done in the order placed, reserved, notified."""
    steps = sorted(order["timeline"], key=lambda step: step["at"])
    return [step["status"] for step in steps] != [step["status"] for step in order["timeline"]]
