"""Acknowledged producing: an event counts as accepted when Kafka has it, in every replica that must have it."""

import contextlib
import logging
import threading
from collections import deque
from collections.abc import Iterable
from typing import Any

from campus.messages import Message
from kafka import KafkaProducer
from kafka.errors import KafkaError

from broker import clients, topics

log = logging.getLogger("campus")

DELIVERY_SECONDS = 3.5
MOST_WAITING = 5000  # events that are sent and not acknowledged yet


class NotSent(ConnectionError):
    """There is no connection to Kafka: nothing was sent."""


class Producer:
    """Produces for any thread, over one idempotent producer that is made anew when it has failed.

    `step` is one round of the loop that keeps it connected, with no thread in it.
    """

    def __init__(self, bootstrap: str) -> None:
        self._bootstrap = bootstrap
        self._producer: KafkaProducer | None = None
        self._trouble: str | None = None
        self._changing = threading.Lock()

    def publish(self, events: Iterable[Message]) -> list[str | None]:
        """Produce and wait; return for each event None, or why nobody knows whether Kafka has it.

        At the first trouble it takes no more events: those that are missing in the answer were not sent.
        Raises NotSent, within a second, when certainly none of them was sent.
        """
        self.check()
        producer = self._producer
        outcomes: list[str | None] = []
        waiting: deque[Any] = deque()
        for event in events:
            waiting.append(_send(producer, event))
            if len(outcomes) == 0 and len(waiting) == 1 and isinstance(waiting[0], KafkaError):
                raise NotSent(str(waiting[0]))
            if len(waiting) > MOST_WAITING:
                outcomes.append(_outcome(waiting.popleft()))
                if outcomes[-1]:
                    break
        outcomes += map(_outcome, waiting)
        if any(outcomes):
            self._give_up(producer)
        return outcomes

    def step(self) -> bool:
        """Connect if there is no connection, else see if Kafka is still there. Raises NotSent when it is not."""
        self._trouble = clients.trouble(self._bootstrap)
        if self._trouble:
            raise NotSent(self._trouble)
        if self._producer is None:
            try:
                clients.ensure_topics(self._bootstrap)
                producer = KafkaProducer(
                    bootstrap_servers=self._bootstrap,
                    bootstrap_timeout_ms=3000,
                    delivery_timeout_ms=int(1000 * DELIVERY_SECONDS),
                    request_timeout_ms=2000,
                    max_block_ms=1000,
                    reconnect_backoff_max_ms=1000,
                    **clients.LEAN,
                )
            except KafkaError as error:
                raise NotSent(f"Kafka cannot be reached: {type(error).__name__}: {error}") from error
            with self._changing:
                self._producer = producer
            log.info("producer: connected to Kafka")
        return False

    def check(self) -> None:
        """Raise NotSent when nothing can be sent now."""
        if self._trouble or self._producer is None:
            raise NotSent(self._trouble or "not connected to Kafka yet")

    def close(self) -> None:
        """Close the connection."""
        if self._producer is not None:
            self._give_up(self._producer)

    def _give_up(self, producer: KafkaProducer) -> None:
        """Let go of a producer that failed: an idempotent one may not recover from a lost batch."""
        with self._changing:
            if self._producer is not producer:
                return
            self._producer = None
        with contextlib.suppress(Exception):
            producer.close(timeout=0.1)


def _send(producer: KafkaProducer, event: Message) -> Any:
    """Hand an event to the producer; return its future, or the error."""
    try:
        return producer.send(topics.TOPIC_OF[event.event_type], key=event.order_id.encode(), value=event.encode())
    except KafkaError as error:
        return error


def _outcome(future: Any) -> str | None:
    try:
        if isinstance(future, KafkaError):
            raise future
        future.get(DELIVERY_SECONDS)
    except KafkaError as error:
        return f"{type(error).__name__}: {error}"
    return None
