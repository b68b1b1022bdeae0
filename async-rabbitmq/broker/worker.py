"""A consumer's work: take a batch, do it in one transaction, publish what follows from it, acknowledge it.

In that order nothing is lost: a worker that dies before the acknowledgement leaves the batch to RabbitMQ, which
delivers it again, and the transaction recognises what it has done before.
"""

import contextlib
import logging
import time
from collections.abc import Sequence

from campus import jsons
from campus.database import Database
from campus.faults import Drop, Faults, Hang
from campus.messages import Message, Poison, read
from campus.orders import utc_now
from campus.work import HISTORY, REASON, RETRY_SECONDS, Handle, Task
from prometheus_client import CollectorRegistry, Counter

from broker.consumer import Consumer, Delivery
from broker.publisher import Outgoing, Publisher
from broker.topology import dead_letters, waiting_room

log = logging.getLogger("campus")

BATCH = 250
WAIT_SECONDS = 0.2
CONFIRM_SECONDS = 10.0


class Worker:
    """Works off one queue. `step` is one round, with no thread in it.

    `handle(tx, tasks)` does the work of all tasks in the given transaction and returns the events that follow. It must
    give the same answer when a message comes again. When it raises, the tasks are tried one by one, and the one that
    fails again waits in a waiting room, where it holds up nobody.
    """

    def __init__(
        self,
        *,
        consumer: Consumer,
        publisher: Publisher,
        database: Database,
        faults: Faults,
        expects: Sequence[str],
        handle: Handle,
        registry: CollectorRegistry,
        injects: bool = True,
    ) -> None:
        self._consumer, self._publisher, self._database, self._faults = consumer, publisher, database, faults
        self._expects, self._handle, self._injects = expects, handle, injects
        self._held: list[Delivery] = []
        self._unfinished: tuple[list[Delivery], list[Outgoing]] | None = None
        outcomes = Counter("messages", "Messages by outcome", ["queue", "outcome"], registry=registry)
        self._count = lambda outcome, n=1: outcomes.labels(consumer.queue, outcome).inc(n)

    def step(self) -> bool:
        """Work off one batch, if there is one; return whether there was."""
        if self._unfinished:  # the broker did not take what follows from the last batch
            self._finish(*self._unfinished)
            return True
        if self._faults.paused:
            time.sleep(WAIT_SECONDS)
            return False
        batch = self._take()
        if not batch:
            return False
        outgoing: list[Outgoing] = []
        settled: list[Delivery] = []
        tasks: list[tuple[Delivery, Task]] = []
        for delivery in batch:
            try:
                tasks.append((delivery, self._begin(delivery)))
            except Poison as why:
                outgoing.append(self._dead_letter(delivery, str(why)))
                settled.append(delivery)
            except Hang:
                self._held.append(delivery)
            except Drop:
                self._consumer.drop()
                return True
            except Exception as error:  # an injected failure
                outgoing.append(self._try_later(delivery, error))
                settled.append(delivery)
        outgoing += self._work(tasks)
        settled += [delivery for delivery, _ in tasks]
        self._finish(settled, outgoing)
        self._faults.rest()
        return True

    def _take(self) -> list[Delivery]:
        """Return the next batch: of one message while messages are slowed down, so that each is committed when done."""
        if self._held and not self._faults.hangs:
            held, self._held = self._held, []
            return [delivery for delivery in held if self._consumer.holds(delivery)]
        return self._consumer.take(1 if self._faults.slow else BATCH, WAIT_SECONDS)

    def _begin(self, delivery: Delivery) -> Task:
        message = read(delivery.body, *self._expects)
        return Task(message, self._faults.inject() if self._injects else None)

    def _work(self, tasks: list[tuple[Delivery, Task]]) -> list[Outgoing]:
        """Commit the work of all tasks and return what is to be published."""
        if not tasks:
            return []
        try:
            events = self._commit([task for _, task in tasks])
        except Exception as error:
            if len(tasks) == 1:
                return [self._try_later(tasks[0][0], error)]
            return [outgoing for task in tasks for outgoing in self._work([task])]
        self._count("done", len(tasks))
        return [Outgoing.event(event) for event in events]

    def _commit(self, tasks: list[Task]) -> Sequence[Message]:
        with self._database.transaction() as tx:
            events = self._handle(tx, tasks)
            self._faults.crash_at("before_commit")
        self._faults.crash_at("after_commit")
        return events

    def _finish(self, settled: list[Delivery], outgoing: list[Outgoing]) -> None:
        """Publish, wait for the confirmations, then acknowledge. Raises, to be called again, when one is missing."""
        self._unfinished = settled, outgoing
        troubles = self._publisher.publish(outgoing, timeout=CONFIRM_SECONDS)
        missing = [(o, trouble) for o, trouble in zip(outgoing, troubles, strict=True) if trouble]
        if missing:
            self._unfinished = settled, [o for o, _ in missing]
            raise ConnectionError(f"{len(missing)} messages were not confirmed: {missing[0][1]}")
        self._unfinished = None
        self._faults.crash_at("after_publish")
        self._consumer.ack(settled, all_before=not self._held)

    def _try_later(self, delivery: Delivery, error: Exception) -> Outgoing:
        history = _history(delivery)
        history.append({"at": utc_now(), "why": f"{type(error).__name__}: {error}"})
        if len(history) > len(RETRY_SECONDS):
            return self._dead_letter(delivery, f"failed {len(history)} times, last: {history[-1]['why']}", history)
        seconds = RETRY_SECONDS[len(history) - 1]
        self._count("retried")
        log.warning("trying again in %d s", seconds, extra={"fields": _fields(delivery) | {"why": history[-1]["why"]}})
        return self._outgoing(delivery, waiting_room(self._consumer.queue, seconds), {HISTORY: _json(history)})

    def _dead_letter(self, delivery: Delivery, reason: str, history: list[dict[str, str]] | None = None) -> Outgoing:
        self._count("dead_lettered")
        log.error("dead-lettered", extra={"fields": _fields(delivery) | {"why": reason}})
        headers = {REASON: reason[:1000], HISTORY: _json(history or _history(delivery))}
        return self._outgoing(delivery, dead_letters(self._consumer.queue), headers)

    def _outgoing(self, delivery: Delivery, queue: str, headers: dict[str, str]) -> Outgoing:
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
