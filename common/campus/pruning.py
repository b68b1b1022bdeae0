"""What keeps a table of things that were dealt with from growing for ever.

The rule: the rows of the newest KEPT orders stay, by the order of their ids, which grow with time; older ones go. It
counts rows, not hours, so that no clock that is set can take away what is needed. What a broker may still deliver again
is what was not acknowledged, some hundred messages. Should an older one come all the same, it is dealt with as new, and
`stock.reserve` and `notifications.send` know its order: nothing is done twice, and the same event is published.
"""

from collections.abc import Callable

from sqlalchemy import Table

from campus import clock
from campus.database import Database
from campus.lifecycle import PartGroup
from campus.loop import Loop

KEPT = 100_000
STEP = 200  # deleted at a time, as others wait meanwhile
LOOK_SECONDS = 60.0


class Pruning(PartGroup):
    """Prunes one table whose key begins with `order_id`. `step` is one round, with no thread in it.

    Example:

        pruning = Pruning(database, inbox.inbox)
        create_service(…, parts=[database, pruning])
    """

    def __init__(self, database: Database, table: Table, *, clock: Callable[[], float] = clock.monotonic) -> None:
        super().__init__(Loop("pruning", self.step, idle=5.0))
        self._database, self._clock = database, clock
        self._limit: str | None = None  # orders up to this one go
        self._looked: float | None = None
        # The newest order whose rows go; and the removal of some rows, the oldest first.
        self._newest_to_go = f"SELECT order_id FROM {table.name} ORDER BY order_id DESC LIMIT 1 OFFSET :kept"
        old = f"SELECT order_id FROM {table.name} WHERE order_id <= :limit ORDER BY order_id LIMIT :step"
        self._delete = f"DELETE FROM {table.name} WHERE order_id IN ({old})"

    def step(self) -> bool:
        """Delete a few rows that are too many; return whether there may be more."""
        if self._limit is None and (self._looked is None or self._clock() - self._looked >= LOOK_SECONDS):
            self._looked = self._clock()
            with self._database.reading() as tx:
                row = tx.execute(self._newest_to_go, {"kept": KEPT}).fetchone()
                self._limit = row[0] if row else None
        if self._limit is None:
            return False
        with self._database.transaction() as tx:
            if tx.execute(self._delete, {"limit": self._limit, "step": STEP}).rowcount == 0:
                self._limit = None
        return True
