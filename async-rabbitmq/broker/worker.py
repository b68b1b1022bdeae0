"""A consumer's work: take a batch, do it in one transaction, publish the result events, acknowledge it.

In that order nothing is lost: a worker that dies before the acknowledgement leaves the batch to RabbitMQ, which
delivers it again, and the transaction recognises what it has done before.
"""

import contextlib
import logging
from collections import deque
from collections.abc import Sequence

from campus import clock, jsons, trace
from campus.database import Database
from campus.events import Event, InvalidEvent, parse
from campus.faults import Drop, Faults, Hang
from campus.lifecycle import PartGroup
from campus.loop import Loop, end_service
from campus.orders import utc_now
from campus.retry import HISTORY, INFRASTRUCTURE, NEVER, REASON, RETRY_SECONDS, Handle, WorkItem
from prometheus_client import CollectorRegistry, Counter

from broker.consumer import Consumer, Delivery
from broker.publisher import Outgoing, Publisher
from broker.topology import dead_letters, retry_queue

log = logging.getLogger("campus")

_Begun = tuple[Delivery, WorkItem]

BATCH = 250
WAIT_SECONDS = 0.2
CONFIRM_SECONDS = 5.0
# What went back to its queue so often, and then ends its consumer again or is the first that a new one works on, has
# failed once more.
MAX_RETURNS = 5


class Worker(PartGroup):
    """Works off one queue, over a consumer and a publisher of its own. `step` is one round of its loop.

    `handle(tx, work_items)` does the work of all items in the given transaction and returns the result events. It must
    give the same answer when a message comes again. When it raises, the items are tried one by one, and the one that
    fails again waits in a retry queue, where it holds up no other. When the database fails, the worker keeps all.

    On SQLite, which is for one process, a second worker ends its service. On PostgreSQL many may work, or, with
    `one_at_a_time`, the others stand by.
    """

    def __init__(
        self,
        url: str,
        name: str,
        *,
        queue: str,
        expects: Sequence[str],
        handle: Handle,
        database: Database,
        faults: Faults,
        registry: CollectorRegistry,
        injects_faults: bool = True,
        one_at_a_time: bool = False,
    ) -> None:
        alone, refuse = one_at_a_time or not database.is_shared, None if database.is_shared else end_service
        self._consumer = Consumer(url, name, queue, alone=alone, refuse=refuse)
        self._publisher = Publisher(url, name)
        loop = Loop(queue, self.step, idle=0.0, waits_until=faults.waits_until)
        super().__init__(self._publisher, self._consumer, loop)
        self._database, self._faults = database, faults
        self._expects, self._handle, self._injects_faults = expects, handle, injects_faults
        self._hand: deque[Delivery] = deque()  # taken, and still to be worked on
        self._held: list[Delivery] = []  # hanging, as a fault says so
        self._settled: list[Delivery] = []  # to be acknowledged when all that is outgoing is confirmed
        self._outgoing: list[Outgoing] = []
        self._new = True  # whether this process has not dealt with any message yet
        outcomes = Counter("messages", "Messages by outcome", ["queue", "outcome"], registry=registry)
        self._count = lambda outcome, n=1: outcomes.labels(queue, outcome).inc(n)

    def step(self) -> bool:
        """Work off one batch, if there is one; return whether there was."""
        if self._settled:  # the broker did not take what follows from the last batch
            self._finish()
            return True
        if self._faults.paused:
            clock.sleep(WAIT_SECONDS)
            return False
        batch = self._take()
        if not batch:
            return False
        work_items, drops = self._begin(batch)
        trouble = self._work(work_items)
        self._keep(batch)
        self._finish()
        if drops:
            self._hand.clear()
            self._consumer.drop()
        if trouble:
            raise trouble
        self._faults.rest()
        return True

    def _take(self) -> list[Delivery]:
        """Return the next batch: of one message while messages are slowed down, so that each is committed when done."""
        if self._held and not self._faults.hangs:
            self._hand.extendleft(reversed(self._held))
            self._held = []
        self._held = [delivery for delivery in self._held if self._consumer.holds(delivery)]
        self._hand = deque(delivery for delivery in self._hand if self._consumer.holds(delivery))
        most = 1 if self._faults.slow else BATCH
        if self._hand:
            return [self._hand.popleft() for _ in range(min(most, len(self._hand)))]
        return self._consumer.take(most, WAIT_SECONDS)

    def _keep(self, batch: list[Delivery]) -> None:
        """Keep the deliveries that are not processed yet."""
        dealt_with = {id(delivery) for delivery in (*self._settled, *self._held)}
        self._hand.extendleft(delivery for delivery in reversed(batch) if id(delivery) not in dealt_with)

    def _begin(self, batch: list[Delivery]) -> tuple[list[_Begun], bool]:
        """Return the work items of a batch, and whether the connection is to be dropped after them; settle the rest."""
        work_items: list[_Begun] = []
        for delivery in batch:
            new, self._new = self._new, False
            if new and delivery.returns >= MAX_RETURNS:
                self._failed(delivery, RuntimeError(f"its consumer ended {delivery.returns} times"))
                continue
            if work_items and self._faults.slow:
                break
            try:
                work_items.append((delivery, self._work_item(delivery)))
            except InvalidEvent as why:
                self._settle(delivery, self._dead_letter(delivery, str(why)))
            except Hang:
                self._held.append(delivery)
                self._consumer.fetch_many()
            except Drop:
                if delivery.returns >= MAX_RETURNS:
                    self._failed(delivery, RuntimeError(f"it dropped the connection {delivery.returns + 1} times"))
                return work_items, True
            except Exception as error:  # an injected failure
                self._failed(delivery, error)
        return work_items, False

    def _work_item(self, delivery: Delivery) -> WorkItem:
        event = parse(delivery.body, *self._expects)
        trace.note(
            "delivery",
            event.order_id,
            self._consumer.queue,
            by="rabbitmq",
            event_id=event.event_id,
            touched=delivery.returns > 0,
        )
        return WorkItem(event, self._faults.inject() if self._injects_faults else None)

    def _work(self, work_items: list[_Begun]) -> Exception | None:
        """Commit all work items, and settle them. Return the failure if none of them caused it."""
        if not work_items:
            return None
        try:
            events = self._commit([item for _, item in work_items])
        except INFRASTRUCTURE as error:
            return error
        except Exception as error:
            if len(work_items) > 1:
                return next(filter(None, (self._work([item]) for item in work_items)), None)
            self._failed(work_items[0][0], error)
            return None
        self._count("done", len(work_items))
        self._settled += [delivery for delivery, _ in work_items]
        self._outgoing += [Outgoing.for_event(event) for event in events]
        return None

    def _commit(self, work_items: list[WorkItem]) -> Sequence[Event]:
        with self._database.transaction() as tx:
            events = self._handle(tx, work_items)
            self._faults.crash_at("before_commit")
        trace.each("commit", (item.event.order_id for item in work_items))
        self._faults.crash_at("after_commit")
        return events

    def _finish(self) -> None:
        """Publish, wait for the confirmations, then acknowledge. Raises, to be called again, when one is missing."""
        if not self._settled:
            return
        troubles = self._publisher.publish(self._outgoing, timeout=CONFIRM_SECONDS)
        missing = [(o, trouble) for o, trouble in zip(self._outgoing, troubles, strict=True) if trouble]
        self._outgoing = [o for o, _ in missing]
        if missing:
            raise ConnectionError(f"{len(missing)} messages were not confirmed: {missing[0][1]}")
        settled, self._settled = self._settled, []
        self._faults.crash_at("after_publish")
        self._consumer.ack(settled, all_before=not (self._held or self._hand))
        trace.each("ack", (trace.order_of(delivery.body) for delivery in settled), self._consumer.queue, to="rabbitmq")

    def _settle(self, delivery: Delivery, outgoing: Outgoing) -> None:
        self._settled.append(delivery)
        self._outgoing.append(outgoing)

    def _failed(self, delivery: Delivery, error: Exception) -> None:
        """Put a message that failed by itself into a retry queue; dead-letter it after the last try."""
        why = f"{type(error).__name__}: {error}"
        trace.note("fault", trace.order_of(delivery.body), why, touched=True)
        history = [*_history(delivery), {"at": utc_now(), "why": why}]
        if isinstance(error, NEVER):
            self._settle(delivery, self._dead_letter(delivery, why, history))
        elif len(history) > len(RETRY_SECONDS):
            reason = f"failed {len(history)} times, last: {why}"
            self._settle(delivery, self._dead_letter(delivery, reason, history))
        else:
            seconds = RETRY_SECONDS[len(history) - 1]
            self._count("retried")
            log.warning("trying again in %d s", seconds, extra={"fields": _fields(delivery) | {"why": why}})
            queue = retry_queue(self._consumer.queue, seconds)
            self._settle(delivery, _outgoing(delivery, queue, {HISTORY: _json(history)}))

    def _dead_letter(self, delivery: Delivery, reason: str, history: list[dict[str, str]] | None = None) -> Outgoing:
        self._count("dead_lettered")
        log.error("dead-lettered", extra={"fields": _fields(delivery) | {"why": reason}})
        headers = {REASON: reason[:1000], HISTORY: _json(history or _history(delivery))}
        return _outgoing(delivery, dead_letters(self._consumer.queue), headers)


def _outgoing(delivery: Delivery, queue: str, headers: dict[str, str]) -> Outgoing:
    return Outgoing("", queue, delivery.body, delivery.message_id or "", headers)


def _history(delivery: Delivery) -> list[dict[str, str]]:
    """Return the failures so far, from the header in which this message carries them."""
    with contextlib.suppress(ValueError, TypeError):
        history = jsons.loads(delivery.headers.get(HISTORY, "[]"))
        if isinstance(history, list):
            return history
    return []


def _json(history: list[dict[str, str]]) -> str:
    return jsons.dumps(history).decode()


def _fields(delivery: Delivery) -> dict[str, str | None]:
    return {"message_id": delivery.message_id}
