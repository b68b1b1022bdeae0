"""Predictions: what a script says before its run, and what was measured, both as small formulas over the figures.

A formula may use the name of a load (`slow.p50`, `slow.ok`, `slow.achieved`, `slow.seconds`), and these functions:

    q(slow, 0.9)                   latency that 90 % of the successes stay within
    share(slow, "502")             share of the orders that ended so; `count(slow, "502")` for how many
    took(slow, "502", 0.5)         how fast they ended so: a quantile
    mean(slow), slower(slow, 0.1)  mean latency of the successes; share of them that took longer than 0.1 s
    became(slow, "notified")       how many of the load's orders are in that state at the end
    lasted("inventory", "killed")  seconds that a service was disturbed so; `began` and `ended` for when
    first_ok(slow, t)              when the first order sent at or after second t was answered with success
    last_notified(slow, t)         when the last of the orders sent before second t was notified
    held("reserved")               how many reservations are in that state at the end

and where orders are accepted first and done later, these, in which `backlog` is what the orders' timelines say:

    completed(slow, 0.99)          quantile of the time from when an order was meant to be sent until it was notified
    q_between(slow, 0.5, t, u)     the same as q, of the orders that were meant to be sent from second t to u
    backlog("inventory", t)        orders that waited for "inventory", "notification" or their "completion" at second t
    backlog_peak("inventory")      the most that ever waited
    slope("inventory", t, u)       how fast that grew, in orders a second, from second t to u
    done_rate("inventory", t, u)   orders that it dealt with, a second, from second t to u
    resumed("inventory", t)        when it dealt with the first order at or after second t
    drained("inventory", t)        when, at or after second t, no order waited for it any more
    depth("outbox", t, u)          the most messages seen in a queue, or rows in the outbox, from second t to u
    published("bad")               how many messages the script published under that name
    dead_lettered("order-placed")  messages in that queue's dead-letter queue at the end
    buried("bad")                  how many of those published under that name lie there, once each, with a reason
    lag("inventory", t)            records that a service's group had not read yet at second t, all partitions together
    lag_of("inventory", 3, t)      the same, of partition 3 of the topics that it reads
    lag_peak("inventory"), lag_slope("inventory", t, u)   as with the backlog
    owned("paused", "inventory")   partitions that had an owner in the group, in the lag table noted under that name
    figure("before", "totalOrdersSeen")   a figure of a report that was noted under that name
    lost(), doubled(), left_open() orders: acknowledged and not there, done twice, in no final state (see lab/toll.py)
    carried_out("kill")            faults of this kind that chaos drew and that were really done; `carried_out()` of all
    planned()                      faults that chaos drew
    differing("before", "after")   figures that differ between two reports, of all that the digest covers
    changed("before", "after")     rows (reservations, stock, notifications) that differ between two snapshots
    handled("order-placed", "before", "after")   messages of a queue that were done between two snapshots

    t                              is a number, or made of `began` and `ended`
    least(a, b), most(a, b)        the smaller, the larger
"""

import functools
import json
from collections import Counter
from collections.abc import Callable
from statistics import fmean
from typing import Any

from simpleeval import EvalWithCompoundTypes, InvalidExpression

from lab import analytics, chaos_report, figures, toll
from lab.backlog import Backlog
from lab.check import FAIL, PASS, UNKNOWN, Evidence, seconds_at
from lab.history import Run
from lab.lag_series import LagSeries

TOLL = {"lost": toll.lost, "doubled": toll.doubled, "left_open": toll.left_open}


class _Nothing(Exception):
    """A figure that the run does not have."""


class Formulas:
    """Evaluates formulas over one run."""

    def __init__(self, run: Run, phases: dict[str, dict[str, Any]]) -> None:
        self._run, self._phases = run, phases
        functions = ("q", "share", "count", "took", "became", "lasted", "began", "ended", "held", "mean", "slower")
        named = {name: getattr(self, f"_{name}") for name in functions}
        functions = (
            "completed",
            "q_between",
            "backlog",
            "backlog_peak",
            "slope",
            "done_rate",
            "resumed",
            "drained",
            "depth",
        )
        functions += ("published", "dead_lettered", "buried", "changed", "handled", "figure", "differing")
        functions += ("lag", "lag_of", "lag_peak", "lag_slope", "owned")
        named |= {name: getattr(self, f"_{name}") for name in functions}
        named |= {name: functools.partial(self._toll, count) for name, count in TOLL.items()}
        named |= {"planned": self._planned, "carried_out": self._carried_out}
        named |= {"first_ok": self._first_ok, "last_notified": self._last_notified, "least": min, "most": max}
        self._evaluator = EvalWithCompoundTypes(names=phases, functions=named)

    def value(self, formula: str) -> float | None:
        """Return the formula's value, or None when the run has no such figure."""
        try:
            value = self._evaluator.eval(formula)
        except (InvalidExpression, SyntaxError, _Nothing, TypeError, LookupError, ValueError, ArithmeticError):
            return None
        return float(value) if isinstance(value, int | float) else None

    def _name(self, phase: dict[str, Any]) -> str:
        for name, figures_of in self._phases.items():
            if figures_of is phase:
                return name
        raise _Nothing

    def _of(self, phase: dict[str, Any]) -> list[Any]:
        name = self._name(phase)
        return [op for op in self._run.operations if op.phase == name]

    def _q(self, phase: dict[str, Any], q: float) -> float | None:
        return figures.Latencies(figures.latency(o) for o in self._of(phase) if o.result == "ok").quantile(q)

    def _mean(self, phase: dict[str, Any]) -> float:
        return fmean(figures.latency(o) for o in self._of(phase) if o.result == "ok")

    def _slower(self, phase: dict[str, Any], than: float) -> float:
        return fmean(figures.latency(o) > than for o in self._of(phase) if o.result == "ok")

    def _count(self, phase: dict[str, Any], kind: str) -> int:
        return phase["errors"].get(kind, {"count": 0})["count"]

    def _share(self, phase: dict[str, Any], kind: str) -> float:
        return self._count(phase, kind) / phase["sent"]

    def _took(self, phase: dict[str, Any], kind: str, q: float) -> float | None:
        return figures.Latencies(figures.latency(o) for o in self._of(phase) if o.kind == kind).quantile(q)

    def _orders(self, phase: dict[str, Any]) -> dict[str, dict[str, Any]]:
        users = {op.op for op in self._of(phase)}
        return {o["user_id"]: o for o in self._held_by("order", "order") if o["user_id"] in users}

    def _became(self, phase: dict[str, Any], status: str) -> int:
        return sum(order["status"] == status for order in self._orders(phase).values())

    def _held(self, status: str) -> int:
        return sum(r["status"] == status for r in self._held_by("inventory", "reservation"))

    def _held_by(self, service: str, what: str) -> list[dict[str, Any]]:
        if not self._run.state or any(m["service"] == service for m in self._run.held("missing")):
            raise _Nothing
        return self._run.held(what)

    def _window(self, service: str, what: str) -> Any:
        for window in self._run.windows:
            if window.service == service and window.what == what and window.until is not None:
                return window
        raise _Nothing

    def _lasted(self, service: str, what: str) -> float:
        window = self._window(service, what)
        return window.until - window.since

    def _began(self, service: str, what: str) -> float:
        return self._window(service, what).since

    def _ended(self, service: str, what: str) -> float:
        return self._window(service, what).until

    def _first_ok(self, phase: dict[str, Any], since: float) -> float:
        times = [o.ended for o in self._of(phase) if o.result == "ok" and o.sent >= since and o.ended]
        if not times:
            raise _Nothing
        return min(times)

    def _last_notified(self, phase: dict[str, Any], before: float) -> float:
        orders = self._orders(phase)
        sent = {op.op for op in self._of(phase) if op.sent < before}
        times = [
            seconds_at(self._run, orders[user]["timeline"][-1]["at"])
            for user in sent & orders.keys()
            if orders[user]["status"] == "notified"
        ]
        if not times:
            raise _Nothing
        return max(times)

    def _completed(self, phase: dict[str, Any], q: float) -> float | None:
        self._held_by("order", "order")
        return figures.Latencies(latency for _, latency in figures.completions(self._run, self._of(phase))).quantile(q)

    def _q_between(self, phase: dict[str, Any], q: float, since: float, until: float) -> float | None:
        sent = (o for o in self._of(phase) if o.result == "ok" and since <= o.intended <= until)
        return figures.Latencies(figures.latency(o) for o in sent).quantile(q)

    def _waiting(self, service: str) -> Backlog:
        self._held_by("order", "order")
        return Backlog(self._run, service)

    def _backlog(self, service: str, second: float) -> int:
        return self._waiting(service).at(second)

    def _backlog_peak(self, service: str) -> int:
        return self._waiting(service).peak()

    def _slope(self, service: str, since: float, until: float) -> float:
        waiting = self._waiting(service)
        return (waiting.at(until) - waiting.at(since)) / (until - since)

    def _done_rate(self, service: str, since: float, until: float) -> float:
        return self._waiting(service).done(since, until) / (until - since)

    def _resumed(self, service: str, since: float) -> float:
        return _known(self._waiting(service).resumed(since))

    def _drained(self, service: str, since: float) -> float:
        return _known(self._waiting(service).drained(since))

    def _depth(self, queue: str, since: float, until: float) -> int:
        seen = [e["ready"] for e in self._run.of_type("depth") if e["queue"] == queue and since <= e["at"] <= until]
        return max(seen)

    def _lags(self, service: str) -> LagSeries:
        series = LagSeries(self._run, f"{service}-consumer-group")
        return _known(series if series.times else None)

    def _lag(self, service: str, second: float) -> int:
        return self._lags(service).total(second)

    def _lag_of(self, service: str, number: int, second: float) -> int:
        series = self._lags(service)
        return sum(series.of(partition, second) for partition in series.partitions if partition[1] == number)

    def _lag_peak(self, service: str) -> int:
        return self._lags(service).peak()[0]

    def _lag_slope(self, service: str, since: float, until: float) -> float:
        series = self._lags(service)
        return (series.total(until) - series.total(since)) / (until - since)

    def _owned(self, name: str, service: str) -> int:
        noted = _known(next((e for e in self._run.of_type("lag table") if e["name"] == name), None))
        return sum(row["group"] == f"{service}-consumer-group" and bool(row["client"]) for row in noted["rows"])

    def _report(self, name: str) -> dict[str, Any]:
        return _known(analytics.reports(self._run).get(name))

    def _figure(self, name: str, figure: str) -> float:
        return self._report(name)[figure]

    def _differing(self, before: str, after: str) -> int:
        return len(analytics.differences(self._report(before), self._report(after)))

    def _toll(self, count: Callable[[Evidence], list[str]]) -> int:
        for service, what in (("order", "order"), ("inventory", "reservation"), ("notification", "notification")):
            self._held_by(service, what)
        return len(count(Evidence(self._run)))

    def _planned(self) -> int:
        return len(_known(chaos_report.drawn(self._run))["faults"])

    def _carried_out(self, kind: str | None = None) -> int:
        return sum(kind in (None, k) for k in chaos_report.carried_out(self._run))

    def _published(self, name: str) -> int:
        return sum(e["name"] == name for e in self._run.of_type("published"))

    def _dead(self) -> list[dict[str, Any]]:
        self._held_by("kafka", "dead")
        return self._held_by("rabbitmq", "dead")

    def _dead_lettered(self, queue: str) -> int:
        return sum(d["queue"] == queue for d in self._dead())

    def _buried(self, name: str) -> int:
        dead = Counter((d["queue"], d["message_id"]) for d in self._dead() if d["reason"])
        published = (e for e in self._run.of_type("published") if e["name"] == name)
        return sum(dead[e["queue"], e["message_id"]] == 1 for e in published)

    def _snapshot(self, name: str) -> dict[str, Any]:
        return _known(next((e for e in self._run.of_type("snapshot") if e["name"] == name), None))

    def _changed(self, before: str, after: str) -> int:
        one, other = ({json.dumps(row) for row in self._snapshot(name)["rows"]} for name in (before, after))
        return len(one ^ other)

    def _handled(self, queue: str, before: str, after: str) -> int:
        return self._snapshot(after)["handled"][queue] - self._snapshot(before)["handled"][queue]


def _known(value: Any) -> Any:
    """Return the value. Raises _Nothing when there is none."""
    if value is None:
        raise _Nothing
    return value


def judge(run: Run, phases: dict[str, dict[str, Any]]) -> list[dict[str, Any]]:
    """Return each prediction with what was predicted, what was measured, and whether it holds."""
    formulas = Formulas(run, phases)
    return [_judge(formulas, prediction) for prediction in run.of_type("predict")]


def _judge(formulas: Formulas, prediction: dict[str, Any]) -> dict[str, Any]:
    expected, measured = formulas.value(prediction["expect"]), formulas.value(prediction["measure"])
    names = ("text", "measure", "expect", "rule", "tolerance", "unit")
    shape = {name: prediction[name] for name in names}
    verdict = UNKNOWN
    if expected is not None and measured is not None:
        verdict = PASS if _holds(prediction["rule"], prediction["tolerance"], expected, measured) else FAIL
    return shape | {"predicted": _rounded(expected), "measured": _rounded(measured), "verdict": verdict}


def _holds(rule: str, tolerance: str, expected: float, measured: float) -> bool:
    if rule == "at most":
        return measured <= expected
    if rule == "at least":
        return measured >= expected
    percent = tolerance.endswith("%")
    room = abs(expected) * float(tolerance[:-1]) / 100 if percent else float(tolerance)
    return abs(measured - expected) <= room


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 6)
