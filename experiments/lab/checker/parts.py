"""The parts of a run that a prediction asks: a load, a fault, a backlog, a lag. Every answer is a number.

Times are in seconds since the run began. Latencies are in seconds, from when an order was meant to be sent. What the
run does not say is NaN.
"""

import re
from functools import cached_property
from statistics import fmean
from typing import Any

from lab.analysis import backlog
from lab.analysis.lag import LagSeries
from lab.analysis.latency import completions, latency, quantile
from lab.checker.figure import Figure, StandIn, asked, attribute, figure
from lab.checker.formula import Formula
from lab.history import model as history
from lab.history.model import seconds_at

EVER = float("inf")
SETTING = re.compile(r"([^\s=]+)(?:=\S*)?")  # what is done: "killed", or some settings: "delay=2 jitter=0.1"
PARAMS = ("rate", "seconds", "clients", "count", "seed", "timeout")


class Recorded:
    """What the parts know of their run: its raw files, the figures of its loads, and whether it is still to come."""

    def __init__(self, raw: history.Run, phases: dict[str, Any], stand_in: bool = False) -> None:
        self.raw, self.phases, self.stand_in = raw, phases, stand_in

    def state_of(self, service: str, what: str) -> list[dict[str, Any]]:
        """Return what a service held at the end. Raises LookupError when it is not known."""
        if not self.raw.state or any(m["service"] == service for m in self.raw.held("missing")):
            raise LookupError(f"what {service} held is not known")
        return self.raw.held(what)


class View:
    """A part of a run that has figures. `label` is how a prediction writes it; a `stand_in` is for a run to come."""

    def __init__(self, run: Recorded, label: str) -> None:
        self.run, self.raw, self.stand_in, self.label = run, run.raw, run.stand_in, label


class Load(View):
    """The orders of one load."""

    def __init__(self, run: Recorded, name: str) -> None:
        super().__init__(run, f'load("{name}").')
        self._name, self._phase = name, run.phases.get(name, {})

    @property
    def params(self) -> dict[str, Figure]:
        """What the script gave it: `rate`, `seconds`, `clients` or `count`."""
        if self.stand_in:
            return dict.fromkeys(PARAMS, StandIn(1.0))
        numbers = {name: v for name, v in self._phase["params"].items() if isinstance(v, int | float)}
        return {name: Figure(v, Formula(v, name=f'{self.label}params["{name}"]')) for name, v in numbers.items()}

    began = attribute(lambda self: self._phase["began"])
    seconds = attribute(lambda self: self._phase["seconds"])  # until its last reply
    sent = attribute(lambda self: self._phase["sent"])
    ok = attribute(lambda self: self._phase["ok"])  # done (201) or accepted (202)
    refused = attribute(lambda self: self._phase["fail"])  # certainly not accepted
    unknown = attribute(lambda self: self._phase["info"])  # the client cannot know
    not_accepted = attribute(lambda self: self._phase["fail"] + self._phase["info"])  # refused or unknown
    achieved = attribute(lambda self: self._phase["achieved"])  # done or accepted, a second
    completed_rate = attribute(lambda self: self._phase["completion"]["achieved"])  # notified, a second
    longest = attribute(lambda self: self._phase["max"])  # latency of the successes
    mean = attribute(lambda self: fmean(map(latency, self._good())))  # latency of the successes

    @figure
    def percentile(self, share: float, since: float = 0.0, until: float = EVER) -> float | None:
        """Return the latency that this share of the successes stay within: of those meant for `since` to `until`."""
        return quantile([latency(op) for op in self._good() if since <= op.intended <= until], share)

    @figure
    def slower_than(self, seconds: float) -> float:
        """Return the share of the successes that took longer."""
        return fmean(latency(op) > seconds for op in self._good())

    @figure
    def count(self, reply: str) -> int:
        """Return how many orders were answered so: "503", "reset" …"""
        return self._phase["errors"].get(reply, {"count": 0})["count"]

    @figure
    def share(self, reply: str) -> float:
        """Return the share of the orders that were answered so."""
        return self._phase["errors"].get(reply, {"count": 0})["count"] / self._phase["sent"]

    @figure
    def error_latency(self, reply: str, share: float) -> float | None:
        """Return the latency that this share of the orders answered so stay within."""
        return quantile([latency(op) for op in self._operations() if op.kind == reply], share)

    @figure
    def later_than(self, reply: str, seconds: float) -> int:
        """Return how many of the orders that were answered so waited longer for it; 0 where none was."""
        of = self._phase["errors"]  # a load that was never sent has none
        return sum(op.kind == reply and latency(op) > seconds for op in self._operations()) if reply in of else 0

    @figure
    def completed(self, share: float) -> float | None:
        """Return the time until the notification that this share of the orders stay within."""
        self.run.state_of("order", "order")
        return quantile([seconds for _, seconds in completions(self.raw, self._operations())], share)

    @figure
    def ended_as(self, status: str) -> int:
        """Return how many of the load's orders are in this state at the end: "notified", "failed" …"""
        return sum(order["status"] == status for order in self._orders().values())

    @figure
    def first_ok(self, since: float) -> float:
        """Return when the first order that was sent at or after `since` was answered with success."""
        return min(op.ended for op in self._good() if op.sent >= since and op.ended)

    @figure
    def last_refused(self) -> float:
        """Return when the last order that was certainly not accepted was answered."""
        return max(op.ended for op in self._operations() if op.result == "fail" and op.ended)

    @figure
    def refused_after(self, since: float) -> int:
        """Return how many of the orders that were sent at or after `since` were certainly not accepted."""
        return sum(op.result == "fail" and op.sent >= since for op in self._operations())

    @figure
    def last_notified(self, before: float) -> float:
        """Return when the last of the orders that were sent before that moment was notified."""
        orders = self._orders()
        sent = {op.op for op in self._operations() if op.sent < before} & orders.keys()
        done = (orders[user]["timeline"][-1]["at"] for user in sent if orders[user]["status"] == "notified")
        return max(seconds_at(self.raw, at) for at in done)

    def _operations(self) -> list[history.Operation]:
        return [op for op in self.raw.operations if op.phase == self._name]

    def _good(self) -> list[history.Operation]:
        return [op for op in self._operations() if op.result == "ok"]

    def _orders(self) -> dict[str, dict[str, Any]]:
        users = {op.op for op in self._operations()}
        return {o["user_id"]: o for o in self.run.state_of("order", "order") if o["user_id"] in users}


class Fault(View):
    """What was done to a service, the first time: it was killed, stopped or frozen, or a setting was changed."""

    def __init__(self, run: Recorded, service: str, what: str) -> None:
        super().__init__(run, f'fault("{service}", "{what}").')
        self._all = [w for w in run.raw.windows if w.service == service and what in SETTING.findall(w.what)]
        self._over = [w for w in self._all if w.until is not None]

    since = attribute(lambda self: self._over[0].since)
    until = attribute(lambda self: self._over[0].until)  # ready again, or reset
    duration = attribute(lambda self: self._over[0].until - self._over[0].since)
    value = attribute(lambda self: float(self._all[0].what.rpartition("=")[2]))  # of the setting


class Backlog(View):
    """The orders that waited for a service, from their own timelines; for "completion": until they were final."""

    def __init__(self, run: Recorded, stage: str) -> None:
        super().__init__(run, f'backlog("{stage}").')
        self._stage = stage

    @cached_property
    def seen(self) -> backlog.Backlog:
        """What is known of it. Raises LookupError where nothing is."""
        self.run.state_of("order", "order")
        return backlog.Backlog(self.raw, self._stage)

    at = asked(backlog.Backlog.at)
    peak = asked(backlog.Backlog.peak)
    growth = asked(backlog.Backlog.growth)
    rate = asked(backlog.Backlog.rate)
    resumed = asked(backlog.Backlog.resumed)
    finished = asked(backlog.Backlog.finished)
    drained = asked(backlog.Backlog.drained)


class Lag(View):
    """The records that a service's consumer group had not read yet."""

    def __init__(self, run: Recorded, service: str) -> None:
        super().__init__(run, f'lag("{service}").')
        self._series = LagSeries(run.raw, f"{service}-consumer-group")

    @property
    def seen(self) -> LagSeries:
        """The samples of it. Raises LookupError where there are none."""
        if not self._series.times:
            raise LookupError("no sample of this group was taken")
        return self._series

    at = asked(LagSeries.at)
    at_end = attribute(lambda self: self.seen.at(EVER))
    of_partition = asked(LagSeries.of_partition)
    peak = asked(LagSeries.peak)
    growth = asked(LagSeries.growth)
