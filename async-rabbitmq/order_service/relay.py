"""The relay: takes events from the outbox to RabbitMQ, oldest first, and removes what RabbitMQ has confirmed."""

import threading
from collections.abc import Callable, Mapping

from broker.pace import Pace
from broker.publisher import Outgoing, Publisher
from broker.topology import EXCHANGE, KEYS
from campus import clock, outbox
from campus.database import Database
from campus.faults import Faults
from campus.lifecycle import PartGroup
from campus.loop import Loop

BATCH = 200
IDLE_SECONDS = 0.2
CONFIRM_SECONDS = 5.0
_TURN = 0x72656C6179  # any number that stands for nothing else in the database


class Relay(PartGroup):
    """Empties the outbox, over a publisher of its own. `step` is one round of its loop.

    Of several relays on one PostgreSQL one publishes at a time. A relay that dies between the confirmation and the
    removal publishes the same events again; their consumers know them by their ids.
    """

    def __init__(self, url: str, *, database: Database, faults: Faults) -> None:
        self._database, self._faults = database, faults
        self._publisher = Publisher(url, "relay")
        self._loop = Loop("relay", self.step, idle=0.0)
        super().__init__(self._publisher, self._loop)
        self._news = threading.Event()
        self._pace = Pace()

    @property
    def checks(self) -> Mapping[str, Callable[[], None]]:
        """Whether it can publish, and whether its last round did."""
        return {"relay publisher": self._publisher.check, "relay": self._loop.check}

    def wake(self) -> None:
        """Say that something was put into the outbox."""
        self._news.set()

    def step(self) -> bool:
        """Publish what waits, if anything does; return whether all of it was confirmed."""
        clock.wait(self._news, IDLE_SECONDS)
        self._pace.wait()
        self._news.clear()
        with self._database.turn(_TURN) as mine:
            return mine and self._empty()

    def _empty(self) -> bool:
        with self._database.transaction() as tx:
            rows = outbox.oldest(tx, BATCH)
        self._pace.began(len(rows), most=BATCH)
        messages = [Outgoing(EXCHANGE, KEYS[kind], body, event_id) for event_id, kind, body in rows]
        troubles = self._publisher.publish(messages, timeout=CONFIRM_SECONDS)
        confirmed = [o.message_id for o, trouble in zip(messages, troubles, strict=True) if not trouble]
        if confirmed:
            self._faults.crash_at("after_publish")
            with self._database.transaction() as tx:
                outbox.remove(tx, confirmed)
        if len(rows) == BATCH:
            self.wake()
        refused = [trouble for trouble in troubles if trouble]
        if refused:
            raise ConnectionError(f"{len(refused)} events were not confirmed: {refused[0]}")
        return bool(rows)
