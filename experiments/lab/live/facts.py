"""What became of each order of a part, followed in the lists of its services: the times that reports use, too.

The three lists are read page by page as they grow. A figure of the page is computed from the same timelines as in a
report: an order is placed, reserved and notified when its services say so, not when this program saw it.
"""

import re
from collections import Counter, deque
from collections.abc import Collection, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from lab import client
from lab.compose import kind_of
from lab.errors import LabError
from lab.services import Service, by_kind

PAGES, ROWS = 8, 250  # of each list at a time: after a long absence it takes some rounds
WINDOW = 200  # orders under way that are asked about again in one round
KEPT_SECONDS = 600
_OUTBOX = re.compile(r"^outbox_depth ([0-9.e+]+)$", re.MULTILINE)
Row = dict[str, Any]


@dataclass(slots=True)
class Order:
    """One order under way; `before` is the order that its list has before it."""

    row: Row
    before: str
    placed: float
    ended_in: int = 0  # the round in which it was seen that it has ended
    reservations: list[Row] = field(default_factory=list)
    notifications: list[Row] = field(default_factory=list)


class Facts:
    """The orders of one part, as its services show them."""

    def __init__(self, services: dict[str, Service]) -> None:
        self._urls = {name: by_kind(services)[name].url for name in ("order", "inventory", "notification")}
        self.restart()

    def restart(self) -> None:
        """Forget everything: the part was emptied."""
        self._after = {"orders": "", "reservations": "", "notifications": ""}
        self._early: dict[str, dict[str, list[Row]]] = {"reservations": {}, "notifications": {}}
        self._cursor = 0
        self.open: dict[str, Order] = {}
        self.ended: deque[Order] = deque()  # to be checked
        self.known: set[str] = set()
        self.repeated: list[tuple[str, str]] = []  # order, what was there once more
        self.placed: Counter[int] = Counter()  # second → orders
        self.completed: Counter[int] = Counter()
        self.latencies: deque[tuple[float, float]] = deque()  # (notified, seconds since placed)
        self.news: list[tuple[str, str]] = []  # (what, order id) since the last look
        self.last: str | None = None
        self._round, self._complete = 0, True
        self.whole = 0, 0.0  # the last round, and its time, in which all lists were read to their ends

    @property
    def count(self) -> int:
        """How many orders were seen."""
        return len(self.known)

    def follow(self, now: float, silent: Collection[str] = ()) -> None:
        """Read what is new; services that are known to be `silent` are not asked.

        Raises LabError when a service does not answer, after what the others have said.
        """
        trouble, self._round, self._complete = None, self._round + 1, True
        for name, take in (("notification", self._notified), ("inventory", self._reserved), ("order", self._placed)):
            if name in silent:
                self._complete = False
                continue
            try:
                listed = {"order": "orders", "inventory": "reservations"}.get(name, "notifications")
                for row in self._new(self._urls[name], listed):
                    take(row)
            except LabError as error:
                trouble = error
        self._forget(now)
        if trouble:
            raise trouble
        if "order" not in silent:
            self._look_again(now)
        if self._complete:
            self.whole = self._round, now

    def refreshed(self, order: Order) -> Order:
        """Return an order that has ended with what inventory holds of it now: what was released has changed since."""
        if order.row["status"] == "failed" and order.reservations:
            answer = client.call("GET", f"{self._urls['inventory']}/reservations/{order.row['order_id']}", timeout=2.0)
            order.reservations = [answer.json()] if answer.status_code == 200 else []
        return order

    def oldest(self, now: float) -> float:
        """Return for how many seconds the oldest order under way has waited."""
        return max((max(0.0, now - order.placed) for order in self._first(1)), default=0.0)

    def _first(self, count: int) -> list[Order]:
        return [order for order, _ in zip(self.open.values(), range(count), strict=False)]

    def _new(self, url: str, listed: str) -> Iterator[Row]:
        for _ in range(PAGES):
            page = _page(f"{url}/{listed}", after=self._after[listed], limit=ROWS)
            if page is None:
                self.restart()
                return
            yield from page[listed]
            if page[listed]:
                self._after[listed] = page[listed][-1]["order_id"]
            if page["next"] is None:
                return
        self._complete = False

    def _placed(self, row: Row) -> None:
        order_id = row["order_id"]
        order = Order(row, self.last or "", seconds(row["timeline"][0]["at"]))
        order.reservations = self._early["reservations"].pop(order_id, [])
        order.notifications = self._early["notifications"].pop(order_id, [])
        self.last = order_id
        self.known.add(order_id)
        self.open[order_id] = order
        self.placed[int(order.placed)] += 1
        self.news += [("placed", order_id)] + ([("reserved", order_id)] if order.reservations else [])
        self._end(order_id, order)

    def _reserved(self, row: Row) -> None:
        self._belongs("reservations", row)

    def _notified(self, row: Row) -> None:
        self._belongs("notifications", row)

    def _belongs(self, listed: str, row: Row) -> None:
        order_id = row["order_id"]
        order = self.open.get(order_id)
        if order is not None:
            getattr(order, listed).append(row)
            if listed == "reservations":
                self.news.append(("reserved", order_id))
            self._end(order_id, order)
        elif order_id in self.known:
            late = next((o for o in reversed(self.ended) if o.row["order_id"] == order_id), None)
            if late is not None:
                getattr(late, listed).append(row)
            else:
                self.repeated.append((order_id, listed.removesuffix("s")))
        else:
            self._early[listed].setdefault(order_id, []).append(row)

    def _end(self, order_id: str, order: Order) -> None:
        """Move an order that has ended from those under way to those that are to be checked."""
        if order.notifications:
            at = seconds(order.notifications[0]["at"])
            self.completed[int(at)] += 1
            self.latencies.append((at, at - order.placed))
            self.news += (
                [("notified", order_id)] if order.reservations else [("reserved", order_id), ("notified", order_id)]
            )
        elif order.row["status"] != "failed":
            return
        else:
            self.news.append(("failed", order_id))
        order.ended_in = self._round
        self.ended.append(self.open.pop(order_id))

    def _look_again(self, now: float) -> None:
        """Ask again about orders that have been under way for a while: which have failed? A part of them each time."""
        waiting = [order for order in self.open.values() if now - order.placed > 1.0]
        if not waiting:
            return
        self._cursor = self._cursor if self._cursor < len(waiting) else 0
        window = _page(f"{self._urls['order']}/orders", after=waiting[self._cursor].before, limit=WINDOW)
        for row in (window or {"orders": []})["orders"]:
            order = self.open.get(row["order_id"])
            if order is not None:
                order.row = row
                self._end(row["order_id"], order)
        self._cursor += WINDOW

    def _forget(self, now: float) -> None:
        for counts in (self.placed, self.completed):
            for second in [s for s in counts if s < now - KEPT_SECONDS]:
                del counts[second]
        while self.latencies and self.latencies[0][0] < now - KEPT_SECONDS:
            self.latencies.popleft()


def seconds(utc: str) -> float:
    """Return a service's UTC time as seconds since 1970."""
    return datetime.fromisoformat(utc).timestamp()


def _page(url: str, **query: Any) -> Row | None:
    """Return a page of a list; None when the order after which it begins is no longer there."""
    answer = client.call("GET", url, params=query, timeout=2.0)
    if answer.status_code == 400:
        return None
    if answer.status_code != 200:
        raise LabError(f"{url} answered {answer.status_code}")
    return answer.json()


def of_all(services: dict[str, Row], kind: str) -> Row:
    """Return what is shown of a service that has replicas: it runs as long as one does, and says which do not."""
    mine = {name: shape for name, shape in services.items() if kind_of(name) == kind}
    if not mine:
        return {"state": "exited", "ready": "", "config": {}}
    found = next((shape for shape in mine.values() if shape["state"] == "running"), next(iter(mine.values())))
    down = [f"{name} is {shape['state']}" for name, shape in mine.items() if shape["state"] != "running"]
    return found | {"ready": "; ".join(down) or found["ready"]}


def outbox(url: str) -> int | None:
    """Return how many rows wait in the order service's outbox; None when it does not answer."""
    answer = client.try_get(f"{url}/metrics", timeout=1.0)
    found = _OUTBOX.search(answer.text) if answer is not None else None  # of one figure; reading all costs 5 ms
    return int(float(found[1])) if found else None
