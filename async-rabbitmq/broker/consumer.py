"""Deliveries of one queue, taken in batches by a worker, and acknowledged when the work is done."""

import logging
import queue
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from campus import clock
from campus.lifecycle import PartGroup
from pika.channel import Channel

from broker.connection import ASK_SECONDS, BrokerConnection, BrokerDown
from broker.pace import Pace

log = logging.getLogger("campus")

PREFETCH = 500
OLD_ONE_SECONDS = 15.0  # for the old process to be gone, also one that ends in good order as gunicorn loads anew


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it came; it is RabbitMQ's until it is acknowledged."""

    channel: Any
    tag: int
    body: bytes
    headers: dict[str, Any]
    message_id: str | None

    @property
    def returns(self) -> int:
        """How often it went back to its queue, as a consumer lost its connection or died."""
        counts = (self.headers.get(name) for name in ("x-delivery-count", "x-acquired-count"))
        return max((count for count in counts if isinstance(count, int)), default=0)


class Consumer(PartGroup):
    """Receives a queue's messages over a connection of its own.

    What was delivered over a connection that is gone comes again over the next; it is left out here. What comes again
    is fetched one by one: if it ends this process or its connection again, only this message is counted.

    With `alone`, only one consumer has the queue; the others stand by. One that may not stand by calls `refuse`
    with the reason.
    """

    def __init__(
        self, url: str, name: str, queue_name: str, *, alone: bool = False, refuse: Callable[[str], None] | None = None
    ) -> None:
        self.queue = queue_name
        self._connection = BrokerConnection(url, f"{name} consumer", on_opened=self._on_opened, on_lost=self._on_lost)
        self._channel: Channel | None = None
        self._deliveries: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        self._pace, self._wanted, self._enough = Pace(), 1, threading.Event()
        self._alone, self._refuse = alone, refuse
        self._tag: str | None = None  # of the consumer, once RabbitMQ has registered it
        self._one_by_one = True
        self._other_since: float | None = None  # since when another consumer has the queue
        super().__init__(self._connection)

    @property
    def checks(self) -> Mapping[str, Callable[[], None]]:
        """Whether messages can come."""
        return {"consumer": self.check}

    def check(self) -> None:
        """Raise BrokerDown, with why, when no messages can come now. One that stands by lacks nothing."""
        stands_by = self._other_since is not None and self._refuse is None
        try:
            self._connection.check()
        except BrokerDown as why:
            if not (stands_by and _is_locked(str(why))):
                raise
        else:
            if self._tag is None and not stands_by:
                raise BrokerDown(f"RabbitMQ has not registered the consumer of {self.queue} yet")

    def drop(self) -> None:
        """Close the connection: what is not acknowledged goes back to the queue."""
        self._channel = None
        self._connection.drop()

    def take(self, most: int, wait: float) -> list[Delivery]:
        """Return what is there, at most so many, after waiting at most `wait` seconds for the first."""
        taken: list[Delivery] = []
        self._gather(most)
        deadline = clock.monotonic() + wait
        while len(taken) < most:
            try:
                left = 0.0 if taken else max(0.0, deadline - clock.monotonic())
                delivery = clock.take(self._deliveries, left)
            except queue.Empty:
                break
            if self.holds(delivery):
                taken.append(delivery)
        if taken:
            self._pace.began(len(taken), most=most)
        return taken

    def _gather(self, most: int) -> None:
        self._wanted = most
        self._enough.clear()
        if self._deliveries.qsize() < most:
            self._pace.wait(self._enough)

    def holds(self, delivery: Delivery) -> bool:
        """Return whether the delivery can still be acknowledged."""
        return delivery.channel is self._channel

    def ack(self, deliveries: Sequence[Delivery], *, all_before: bool) -> None:
        """Tell RabbitMQ that these are done; `all_before` says that so is everything delivered before them."""
        channel = self._channel  # read once: a tag means something only on its own channel
        tags = sorted(d.tag for d in deliveries if d.channel is channel)
        if not tags or channel is None:
            return

        def acknowledge() -> None:
            if channel.is_open:
                for tag in tags[-1:] if all_before else tags:
                    channel.basic_ack(tag, multiple=all_before)

        self._connection.call(acknowledge)

    def fetch_many(self) -> None:
        """Do not wait any longer for what was fetched alone."""
        channel = self._channel
        self._connection.call(lambda: channel and channel is self._channel and self._fetch_many(channel))

    def _on_opened(self, channel: Channel) -> None:
        self._channel, self._deliveries, self._one_by_one = channel, queue.SimpleQueue(), True
        channel.add_on_cancel_callback(lambda _: self.drop())  # the queue is gone: the next connection declares it anew
        if self._alone:
            # A queue that is this connection's own: RabbitMQ refuses it to every other, and removes it in the end.
            channel.queue_declare(_lock(self.queue), exclusive=True, callback=lambda _: self._consume(channel, 1))
        else:
            self._consume(channel, 1)
        self._look_later(channel)

    def _look_later(self, channel: Channel) -> None:
        channel.connection.ioloop.call_later(ASK_SECONDS, lambda: self._look(channel))

    def _look(self, channel: Channel) -> None:
        """Begin anew if messages wait and RabbitMQ knows no consumer of the queue, not even this one.

        RabbitMQ tells a consumer when its queue is deleted; but it may not, if the queue is declared anew meanwhile.
        """

        def counted(frame: Any) -> None:
            if self._tag is not None and frame.method.message_count and not frame.method.consumer_count:
                log.warning("%s has messages and no consumer: it was deleted and declared anew", self.queue)
                self.drop()
            else:
                self._look_later(channel)

        if channel is self._channel and channel.is_open:
            channel.queue_declare(self.queue, passive=True, callback=counted)

    def _consume(self, channel: Channel, prefetch: int) -> None:
        def registered(_frame: Any) -> None:
            self._tag, self._other_since = tag, None

        channel.basic_qos(prefetch_count=prefetch)
        tag = channel.basic_consume(self.queue, self._on_message, callback=registered)

    def _fetch_many(self, channel: Channel) -> None:
        if self._one_by_one and self._tag is not None and channel.is_open:
            self._one_by_one = False
            channel.basic_cancel(self._tag)  # its prefetch cannot be changed
            self._consume(channel, PREFETCH)

    def _on_message(self, channel: Channel, method: Any, properties: Any, body: bytes) -> None:
        headers = properties.headers or {}
        self._deliveries.put(Delivery(channel, method.delivery_tag, body, headers, properties.message_id))
        if self._deliveries.qsize() == self._wanted:
            self._enough.set()
        if not method.redelivered:
            self._fetch_many(channel)

    def _on_lost(self, why: str) -> None:
        self._channel = self._tag = None
        if not _is_locked(why):
            self._other_since = None
        elif self._other_since is None:
            self._other_since = clock.monotonic()
            log.warning("another consumer has %s; this one waits until it leaves", self.queue)
        elif self._refuse and clock.monotonic() - self._other_since > OLD_ONE_SECONDS:
            self._refuse(f"another consumer has the queue {self.queue}, and SQLite is for one process: use PostgreSQL")


def _lock(queue_name: str) -> str:
    return f"{queue_name}.consumer"


def _is_locked(why: str) -> bool:
    return "RESOURCE_LOCKED" in why
