"""Acknowledged producing: an event counts as accepted when Kafka has it, in every replica that must have it."""

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Callable, Iterable, Mapping
from typing import Any

from campus import clock, trace
from campus.events import Event
from campus.lifecycle import STOP_SECONDS, PartGroup
from campus.loop import Loop
from kafka import KafkaProducer
from kafka.errors import KafkaError

from broker import clients, topics

log = logging.getLogger("campus")

DELIVERY_SECONDS = 3.5
MAX_WAITING = 5000  # events that are sent and not acknowledged yet


class BrokerDown(ConnectionError):
    """There is no connection to Kafka: nothing was sent."""


class Producer(PartGroup):
    """Produces for any thread, over one idempotent producer that is made anew when it has failed.

    `step` is one round of the loop that keeps it connected. Whatever may take long, connecting
    and letting go, is done there: a request waits for nothing but its own events.
    """

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer: KafkaProducer | None = None
        self._retired: list[tuple[float, KafkaProducer]] = []  # with the time after which no caller waits for it
        self._trouble: str | None = None
        self._changing = threading.Lock()
        self._loop = Loop("connecting", self.step)
        super().__init__(self._loop)

    @property
    def checks(self) -> Mapping[str, Callable[[], None]]:
        """Whether something can be sent, and whether Kafka answered in the last round."""
        return {"producer": self.check, "connecting": self._loop.check}

    def publish(self, events: Iterable[Event]) -> list[str | None]:
        """Produce and wait; return for each event None, or why its outcome is unknown.

        At the first trouble it takes no more events: those that are missing in the answer were not sent.
        Raises BrokerDown, within a second, when certainly none of them was sent.
        """
        producer = self._connected()
        outcomes: list[str | None] = []
        waiting: deque[Any] = deque()
        for event in events:
            waiting.append(_send(producer, event))
            if isinstance(waiting[-1], Exception):
                break
            if len(waiting) > MAX_WAITING:
                outcomes.append(_outcome(waiting.popleft(), DELIVERY_SECONDS))
                if outcomes[-1]:
                    break
        if not outcomes and len(waiting) == 1 and isinstance(waiting[0], Exception):
            self._retire(producer)
            raise BrokerDown(_words(waiting[0]))
        deadline = clock.monotonic() + DELIVERY_SECONDS
        outcomes += [_outcome(future, max(0.0, deadline - clock.monotonic())) for future in waiting]
        if any(outcomes):
            self._retire(producer)
        return outcomes

    def step(self) -> bool:
        """Connect if there is no connection, else see if Kafka still answers. Raises BrokerDown when it does not."""
        self._end_retired(clock.monotonic())
        self._trouble = clients.trouble(self._bootstrap)
        if self._trouble:
            raise BrokerDown(self._trouble)
        if self._producer is None:
            try:
                self._producer = _connect(self._bootstrap)
            except KafkaError as error:
                raise BrokerDown(f"Kafka cannot be reached: {_words(error)}") from error
            log.info("producer: connected to Kafka")
        return False

    def check(self) -> None:
        """Raise BrokerDown when nothing can be sent now."""
        self._connected()

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Stop the loop, and close the connection."""
        super().stop(timeout)
        if self._producer is not None:
            self._retire(self._producer)
        self._end_retired(float("inf"))

    def _connected(self) -> KafkaProducer:
        producer = self._producer
        if self._trouble or producer is None:
            raise BrokerDown(self._trouble or "not connected to Kafka yet")
        return producer

    def _retire(self, producer: KafkaProducer) -> None:
        """Use a producer that failed no longer: an idempotent one may not recover from a lost batch.

        What others have sent over it may still be acknowledged, so it is closed only when they have stopped waiting.
        """
        with self._changing:
            if self._producer is producer:
                self._producer = None
                self._retired.append((clock.monotonic() + DELIVERY_SECONDS, producer))

    def _end_retired(self, now: float) -> None:
        with self._changing:
            over = [producer for until, producer in self._retired if until <= now]
            self._retired = [(until, producer) for until, producer in self._retired if until > now]
        for producer in over:
            _end(producer)


def _connect(bootstrap: str) -> KafkaProducer:
    """Return a producer that knows where to send. Raises KafkaError after a few seconds."""
    clients.ensure_topics(bootstrap)
    producer = clients.connect(
        KafkaProducer,
        bootstrap,
        delivery_timeout_ms=int(1000 * DELIVERY_SECONDS),
        request_timeout_ms=2000,
        max_block_ms=1000,
        **clients.PRODUCER_OPTIONS,
    )
    try:
        producer.partitions_for(topics.ORDERS)
    except KafkaError:
        _end(producer)
        raise
    return producer


def _end(producer: KafkaProducer) -> None:
    """Close a producer within a second, whatever it has not delivered yet."""
    with contextlib.suppress(Exception):  # it is of no use any more, whatever it says
        # By itself kafka-python 3.0.12 waits for what is not delivered, gives up, and keeps its thread and connection.
        producer._sender.force_close()
        producer.close(timeout=1)


def _send(producer: KafkaProducer, event: Event) -> Any:
    """Hand an event to the producer; return its future, or the error for which it was not taken."""
    trace.note("message", event.order_id, topics.TOPIC_OF[event.event_type], to="kafka", event_id=event.event_id)
    try:
        return producer.send(topics.TOPIC_OF[event.event_type], key=event.order_id.encode(), value=event.encode())
    except (KafkaError, ValueError) as error:  # ValueError: the topic is gone
        return error


def _outcome(future: Any, seconds: float) -> str | None:
    try:
        if isinstance(future, Exception):
            raise future
        future.get(seconds)
    except (KafkaError, ValueError) as error:
        return _words(error)
    return None


def _words(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"
