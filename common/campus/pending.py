"""The steps that a process must still take for its orders, and what becomes of them when it does not come back.

An order's row says which step is pending and which process owns it. Each process renews a row of its own in `owners`.
One whose row stands still while another process looks at it LEASE_ROUNDS times is taken for dead, and its orders for
abandoned. When a step is tried (again) is kept in memory. No time is compared with the wall clock, which may be set.
"""

import contextlib
import logging
from collections import defaultdict
from collections.abc import Callable, Iterator

from sqlalchemy import BigInteger, Column, MetaData, String, Table

from campus import order_store
from campus.clock import monotonic, random_id
from campus.database import Database
from campus.lifecycle import PartGroup
from campus.loop import Loop
from campus.order_store import PendingStep
from campus.orders import Order

log = logging.getLogger("campus")

RENEW_SECONDS = 0.5
LEASE_ROUNDS = 6
LEASE_SECONDS = RENEW_SECONDS * LEASE_ROUNDS
ROUND, ROUND_SECONDS = 100, 1.0

metadata = MetaData()
owners = Table(
    "owners",
    metadata,
    Column("owner", String(36), primary_key=True),
    Column("beat", BigInteger, nullable=False),
)

_REGISTER = "INSERT INTO owners (owner, beat) VALUES (:owner, 0) ON CONFLICT DO NOTHING"
# Every owner has a row, and is watched: one that was taken for dead may have placed an order since.
_REGISTER_ALL = (
    "INSERT INTO owners (owner, beat) SELECT DISTINCT owner, 0 FROM orders WHERE pending IS NOT NULL "
    "ON CONFLICT DO NOTHING"
)
_RENEW = "UPDATE owners SET beat = beat + 1 WHERE owner = :owner"
_BEATS = "SELECT owner, beat FROM owners"
_REMOVE = "DELETE FROM owners WHERE owner = :owner AND beat = :beat"
_TAKE_OVER = "UPDATE orders SET owner = :heir WHERE owner = :owner AND pending IS NOT NULL"


class PendingSteps(PartGroup):
    """The pending steps of one process, for its requests and for its background loops.

    Example:

        pending = PendingSteps(database)
        with pending.held(order.order_id):  # a request takes the step itself
            with database.transaction() as tx:
                order_store.place(tx, order, key=None, pending_step=pending.step("publish"))
        for order in pending.due("publish"):  # a background loop takes those that requests left
            pending.postpone(order.order_id, 1.0)
    """

    def __init__(self, database: Database, *, clock: Callable[[], float] = monotonic) -> None:
        self.owner = ""
        self._database, self._clock = database, clock
        self._held: set[str] = set()
        self._not_before: dict[str, float] = {}
        self._last: defaultdict[str, str] = defaultdict(str)
        self._watched: dict[str, tuple[int, int]] = {}
        super().__init__(Loop("lease", self.renew, idle=RENEW_SECONDS))
        self.renew()

    def step(self, step: str) -> PendingStep:
        """Return this step as this process's own, to be written with an order."""
        return PendingStep(step, self.owner)

    @contextlib.contextmanager
    def held(self, order_id: str) -> Iterator[None]:
        """Keep this order from being due as long as its request works on it. Begin before the order is committed."""
        self._held.add(order_id)
        try:
            yield
        finally:
            self.postpone(order_id, 0.0)  # a round that has begun may have read what was true before
            self._held.discard(order_id)

    def due(self, step: str) -> Iterator[Order]:
        """Yield this process's orders for which this step is pending: at most ROUND, for at most ROUND_SECONDS.

        They stand in a ring, and each call goes on after the last order that was yielded, so that no order waits behind
        orders that cannot be done.
        """
        now, last = self._clock(), self._last[step]
        with self._database.reading() as tx:
            found = order_store.due(tx, owner=self.owner, step=step, after=last, limit=ROUND)
            if last and len(found) < ROUND:
                oldest = order_store.due(tx, owner=self.owner, step=step, after="", limit=ROUND - len(found))
                found += [order for order in oldest if order.order_id <= last]
        for order in found:
            free = order.order_id not in self._held and self._not_before.get(order.order_id, now) <= now
            if self._clock() > now + ROUND_SECONDS:
                return
            self._last[step] = order.order_id
            if free:
                yield order

    def postpone(self, order_id: str, seconds: float) -> None:
        """Let this order not be due for so long."""
        self._not_before[order_id] = self._clock() + seconds

    def owns(self) -> bool:
        """Return whether certainly no other process has taken over this one's orders."""
        return self._clock() < self._renewed + LEASE_SECONDS

    def renew(self) -> bool:
        """Say that this process lives, and take over the orders of any that has stood still for LEASE_ROUNDS.

        Rounds are counted, not seconds: a process that was itself frozen, or cut off from the database, has not
        watched. A loop of its own does it every RENEW_SECONDS.
        """
        began = self._clock()
        with self._database.transaction() as tx:
            tx.execute(_REGISTER_ALL)
            if tx.execute(_RENEW, {"owner": self.owner}).rowcount == 0:
                # It begins, or was taken for dead. Under its old id it would own again what comes back to it from
                # others, and take what they have done meanwhile for not done.
                self.owner = random_id()
                tx.execute(_REGISTER, {"owner": self.owner})
            others = {owner: beat for owner, beat in tx.execute(_BEATS) if owner != self.owner}
            watched = {owner: (beat, self._rounds(owner, beat)) for owner, beat in others.items()}
            taken = 0
            for owner, (beat, rounds) in watched.items():
                if rounds >= LEASE_ROUNDS and tx.execute(_REMOVE, {"owner": owner, "beat": beat}).rowcount:
                    taken += tx.execute(_TAKE_OVER, {"owner": owner, "heir": self.owner}).rowcount
        self._renewed, self._watched = began, watched
        for order_id, at in list(self._not_before.items()):
            if at < began - ROUND_SECONDS:
                self._not_before.pop(order_id, None)
        if taken:
            log.info("%d orders were left unfinished by another process", taken)
        return False

    def _rounds(self, owner: str, beat: int) -> int:
        """Return for how many rounds this owner has stood still."""
        before, rounds = self._watched.get(owner, (None, 0))
        return rounds + 1 if beat == before else 0
