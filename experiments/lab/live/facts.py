"""What became of each order of a part, followed in the lists of its services: the times that reports use, too.

A figure of the page is computed from the same timelines as in a report: an order is placed, reserved and notified when
its services say so, not when this program saw it. Only orders under way are kept, and those that ended and are still to
be checked; of all others there are counts.
"""

from collections import Counter, deque
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass, field
from itertools import islice
from math import ceil

from lab import client
from lab.errors import LabError
from lab.live.lists import Emptied, GrowingList, Row, page_of, read_on, seconds, written_at
from lab.services import Service, by_kind

WINDOW = 100  # orders under way that are asked about again in one look
KEPT_SECONDS, RECENT_SECONDS = 600, 10.0
SETTLED_SECONDS = 2.0  # a row may be in its list so long after the time that it tells
MAX_EARLY = 5000  # rows of a list that are kept although their order is not known
ASKED = 20  # orders that are looked up in one look
LISTS = {"notification": "notifications", "inventory": "reservations", "order": "orders"}  # in this order


@dataclass(slots=True)
class Order:
    """One order under way; `before` is the order that its list has before it."""

    row: Row
    before: str
    placed: float
    ended: float = 0.0
    seen: float = 0.0  # when this program saw that it had ended
    reservations: list[Row] = field(default_factory=list)
    notifications: list[Row] = field(default_factory=list)


class Facts:
    """The orders of one part, as its services show them."""

    def __init__(self, services: dict[str, Service]) -> None:
        self._urls = {name: by_kind(services)[name].url for name in LISTS}
        self.beginning = 0  # how often this began anew
        self.restart()

    def restart(self) -> None:
        """Forget everything: the part was emptied."""
        self.beginning += 1
        self._lists = {name: GrowingList(self._urls[name], listed) for name, listed in LISTS.items()}
        self._early: dict[str, dict[str, list[Row]]] = {"reservations": {}, "notifications": {}}
        self._refused: dict[str, Order] = {}  # under way, and inventory has refused it
        self._now, self._looks, self._cursor = 0.0, 0, 0
        self.open: dict[str, Order] = {}
        self.ended: dict[str, Order] = {}  # to be checked
        self.repeated: list[tuple[str, str]] = []  # order, what was there once more
        self.placed: Counter[int] = Counter()  # second → orders
        self.completed: Counter[int] = Counter()
        self.latencies: deque[tuple[float, float]] = deque()  # (notified, seconds since placed), the last ones
        self.news: list[tuple[str, str]] = []  # (what, order id) since the last look
        self.last: str | None = None
        self.count = 0  # orders that were seen
        self.rows = 0  # of all lists, that were read
        self.caught_up = False  # whether all that there was at first has been read

    def follow(self, now: float, silent: Collection[str] = ()) -> None:
        """Read what is new; services that are known to be `silent` are not asked.

        Raises LabError when a service does not answer, after what the others have said.
        """
        self._now = now
        take = {"orders": self._placed, "reservations": self._belongs, "notifications": self._belongs}
        speaking = [of for name, of in self._lists.items() if name not in silent]
        try:
            for listed, row in read_on(speaking, now):
                self.rows += 1
                take[listed](listed, row)
            self.caught_up |= bool(speaking) and all(of.whole for of in speaking)
            if "order" not in silent:
                self._look_again(now)
                self._ask_about_strays()
        except Emptied:
            self.restart()
        finally:
            self._forget(now)

    def settled(self, most: int) -> Iterator[Order]:
        """Yield, and forget, orders that ended so long ago that every row of theirs was read since."""
        until = min(of.known_until for of in self._lists.values()) - SETTLED_SECONDS
        read, asked = min(of.read_at for of in self._lists.values()), 0
        for order_id, order in [*islice(self.ended.items(), most)]:
            if order.ended > until or order.seen > read or asked == ASKED:
                return
            if order.row["status"] == "failed" and any(held["status"] == "reserved" for held in order.reservations):
                asked += 1  # what it held was perhaps released since
                try:
                    order.reservations = [*filter(None, [self._one("inventory", f"reservations/{order_id}")])]
                except LabError:  # in a later look, then
                    return
            yield self.ended.pop(order_id)

    def oldest(self, now: float) -> float:
        """Return for how many seconds the oldest order under way has waited."""
        return max((max(0.0, now - order.placed) for order in islice(self.open.values(), 1)), default=0.0)

    def _one(self, service: str, path: str) -> Row | None:
        """Return one row; None when it is not there. Raises LabError."""
        answer = client.call("GET", f"{self._urls[service]}/{path}", timeout=2.0)
        return answer.json() if answer.status_code == 200 else None

    def _placed(self, _listed: str, row: Row) -> None:
        order_id = row["order_id"]
        order = Order(row, self.last or "", written_at(row))
        order.reservations = self._early["reservations"].pop(order_id, [])
        order.notifications = self._early["notifications"].pop(order_id, [])
        self.last = order_id
        self.count += 1
        self.open[order_id] = order
        self.placed[int(order.placed)] += 1
        self.news += [("placed", order_id)] + ([("reserved", order_id)] if order.reservations else [])
        self._end(order_id, order)

    def _belongs(self, listed: str, row: Row) -> None:
        """Put a reservation or a notification to its order; where that is not known, it waits for it."""
        order_id = row["order_id"]
        order = self.open.get(order_id)
        if order is not None:
            getattr(order, listed).append(row)
            if listed == "reservations":
                self.news.append(("reserved", order_id))
                if row["status"] == "failed":
                    self._refused[order_id] = order
            self._end(order_id, order)
        elif order_id in self.ended:
            getattr(self.ended[order_id], listed).append(row)
        else:
            early = self._early[listed]
            early.setdefault(order_id, []).append(row)
            if len(early) > MAX_EARLY:
                del early[next(iter(early))]

    def _end(self, order_id: str, order: Order) -> None:
        """Move an order that has ended from those under way to those that are to be checked."""
        if order.notifications:
            order.ended = seconds(order.notifications[0]["at"])
            self.completed[int(order.ended)] += 1
            self.latencies.append((order.ended, order.ended - order.placed))
            self.news += ([] if order.reservations else [("reserved", order_id)]) + [("notified", order_id)]
        elif order.row["status"] == "failed":
            order.ended = seconds(order.row["timeline"][-1]["at"])
            self.news.append(("failed", order_id))
        else:
            return
        order.seen = self._now
        self._refused.pop(order_id, None)
        self.ended[order_id] = self.open.pop(order_id)

    def _look_again(self, now: float) -> None:
        """Ask again about some orders that have been under way for a while: which have failed? Which are gone?

        Every other look those that inventory has refused, otherwise all, one part after the other.
        """
        self._looks += 1
        refused = next(iter(self._refused.values()), None) if self._looks % 2 else None
        if self._cursor >= len(self.open):
            self._cursor = 0
        asked = [*islice(self.open.values(), self._cursor, self._cursor + WINDOW)]
        if refused is None and (not asked or now - asked[0].placed <= 1.0):
            self._cursor = 0
            return
        begin = refused or asked[0]
        window = [] if refused else asked
        page = page_of(f"{self._urls['order']}/orders", after=begin.before, limit=WINDOW)
        if page is not None:
            rows, whole = page["orders"], page["next"] is None
        else:  # the order before is gone: ask for this one alone
            window, whole = [begin], True
            rows = [*filter(None, [self._one("order", f"orders/{begin.row['order_id']}")])]
        found = {row["order_id"]: row for row in rows}
        for order_id, row in found.items():
            if order_id in self.open:
                self.open[order_id].row = row
                self._end(order_id, self.open[order_id])
        self._after_asking([order.row["order_id"] for order in window], found, whole=whole)

    def _after_asking(self, asked: list[str], found: Collection[str], *, whole: bool) -> None:
        """Forget orders that are no longer in their list, and let the next question begin after these."""
        last = max((n for n, order_id in enumerate(asked) if order_id in found), default=-1)
        for order_id in asked if whole else asked[:last]:
            if order_id not in found and self.open.pop(order_id, None):
                self._refused.pop(order_id, None)
                self.count -= 1
        self._cursor += sum(order_id in self.open for order_id in asked[: last + 1])

    def _ask_about_strays(self) -> None:
        """Ask about rows whose order should be known by now: was it checked before, and this is one row too many?"""
        until = self._lists["order"].known_until - SETTLED_SECONDS
        for listed, early in self._early.items():
            for order_id, rows in [*islice(early.items(), 1)]:
                if written_at(rows[0]) > until:
                    continue
                del early[order_id]
                if self._one("order", f"orders/{order_id}") is not None:
                    self.repeated.append((order_id, listed.removesuffix("s")))
                else:
                    early[order_id] = rows  # at the end: it is another one's turn

    def _forget(self, now: float) -> None:
        for counts in (self.placed, self.completed):
            for second in [s for s in counts if s < now - KEPT_SECONDS]:
                del counts[second]
        while self.latencies and self.latencies[0][0] < now - RECENT_SECONDS:
            self.latencies.popleft()


def quantiles(values: Iterable[float]) -> list[float | None]:
    """Return the p50 and the p99 of a few thousand values; None of nothing."""
    ordered = sorted(values)
    return [ordered[ceil(q * len(ordered)) - 1] if ordered else None for q in (0.5, 0.99)]
