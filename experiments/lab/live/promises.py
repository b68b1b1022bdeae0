"""The invariants while orders are under way: the checker of the experiments decides them, batch by batch.

An order that has ended is checked once, with its reservation and its notification, two seconds later and when every
list was read since; then only its counts are kept. While a service does not answer, its rows are not known, and nothing
is decided. INV-3 and INV-8 are about all orders together, so they are decided when no order is under way. What only the
end can decide holds "so far".
"""

from collections import Counter
from typing import Any

from campus.metrics import metrics, minute

from lab.analysis import reports
from lab.checker import invariants
from lab.history.model import Run
from lab.live.facts import Facts, Order

BATCH, BATCHES = 250, 8  # orders that are checked together; batches in one look
AT_THE_END = ("INV-1", "INV-5", "INV-6", "INV-7")
PER_ORDER = tuple(id for id in invariants.RULES if id != "INV-3")
Line = dict[str, Any]


class Promises:
    """Which invariants hold for a part, and the first order that breaks one."""

    def __init__(self, part: str, has_log: bool) -> None:
        self._part, self._has_log = part, has_log
        self._restart(0)

    def _restart(self, beginning: int) -> None:
        self._beginning, self._rows = beginning, 0  # of the facts that were checked
        self.checked = 0
        self.broken: dict[str, tuple[str, str]] = {}  # invariant → (order, what is wrong)
        self._taken: Counter[str] = Counter()
        self._minutes: Counter[str] = Counter()  # of the orders checked, what analytics counts
        self._verdicts = self._failed = 0
        self.settled = False

    @property
    def ids(self) -> tuple[str, ...]:
        """The invariants of this part."""
        return (*invariants.RULES, *(invariants.RULES_OF_A_LOG if self._has_log else ()))

    def check(self, facts: Facts) -> None:
        """Check the orders of which everything is known now; those of a part that was emptied are forgotten."""
        if facts.beginning != self._beginning:
            self._restart(facts.beginning)
        if facts.rows != self._rows:
            self._rows, self.settled = facts.rows, False
        for order_id, what in facts.repeated:
            self.broken.setdefault("INV-2" if what == "reservation" else "INV-6", (order_id, f"a second {what}"))
        facts.repeated.clear()
        for _ in range(BATCHES):
            if not (batch := [*facts.settled(BATCH)]):
                return
            self._check(batch)

    def _check(self, batch: list[Order]) -> None:
        evidence = invariants.RunIndex(_as_run(self._part, batch))
        for id in PER_ORDER:
            for subject, wrong in invariants.RULES[id](evidence):
                self.broken.setdefault(id, (subject.partition(" ")[0], wrong))
        for reservation in evidence.holding:
            for line in reservation["items"]:
                self._taken[line["sku"]] += line["qty"]
        for order in batch:
            if order.reservations:  # one that the order service refused itself is not in the log
                self._minutes[minute(order.row["timeline"][0]["at"])] += 1
                self._verdicts += 1
                self._failed += order.reservations[0]["status"] == "failed"
        self.checked += len(batch)

    def settle(self, stock: list[Line], report: Line | None) -> None:
        """Decide what is about all orders together; call it when none is under way, with what was read then."""
        self.settled = True
        for level in stock:
            missing = level["initial"] - level["on_hand"] - self._taken[level["sku"]]
            if missing or level["on_hand"] < 0:
                self.broken.setdefault("INV-3", (level["sku"], f"{missing} of the stock are in no reservation"))
        if report is not None and self._has_log:
            counted = metrics(self._minutes, self._verdicts, self._failed, now=0)
            for name in reports.differences(counted, report):
                self.broken.setdefault("INV-8", (name, "analytics has another number than the orders give"))

    def shown(self) -> Line:
        """Return what the page shows."""
        ids = self.ids
        first = next(((id, *self.broken[id]) for id in ids if id in self.broken), None)
        return {
            "all": len(ids),
            "hold": len(ids) - len(self.broken),
            "orders": self.checked,
            "broken": first,
            "so_far": [] if self.settled else [id for id in ids if id in AT_THE_END or id not in PER_ORDER],
        }


def _as_run(part: str, batch: list[Order]) -> Run:
    """Return these orders as a run, each ordered by a client of its own: which client it was, only the order says."""
    events: list[Line] = []
    state: list[Line] = []
    for order in batch:
        row = dict(order.row)
        user, op = row["user_id"], f"{row['order_id']} {row['user_id']}"
        if order.notifications:  # the list was read before: its timeline may be older than that of its services
            row |= {"status": "notified", "timeline": _timeline(order)}
        result = "info" if row["status"] == "failed" else "ok"
        events.append({"type": "invoke", "op": op, "phase": "", "intended": 0.0, "at": 0.0, "items": row["items"]})
        events.append({"type": result, "op": op, "at": 0.0, "kind": "202", "order_id": row["order_id"]})
        state.append(row | {"what": "order", "user_id": op})
        state += [r | {"what": "reservation"} for r in order.reservations]
        state += [n | {"what": "notification", "user_id": op if n["user_id"] == user else n["user_id"]}
                  for n in order.notifications]  # fmt: skip
    return Run({"part": part, "began_at": "1970-01-01T00:00:00+00:00"}, events, state)


def _timeline(order: Order) -> list[Line]:
    reserved = [{"status": "reserved", "at": r["at"]} for r in order.reservations if r["status"] == "reserved"]
    return [order.row["timeline"][0], *reserved[:1], {"status": "notified", "at": order.notifications[0]["at"]}]
