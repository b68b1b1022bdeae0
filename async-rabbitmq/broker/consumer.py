"""Deliveries of one queue, taken in batches by whoever works on them, and acknowledged when the work is done."""

import queue
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from pika import BasicProperties
from pika.channel import Channel

from broker.link import Link
from broker.pace import Pace

PREFETCH = 500


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it came; it is RabbitMQ's until it is acknowledged."""

    channel: Any
    tag: int
    body: bytes
    headers: dict[str, Any]
    message_id: str | None


class Consumer:
    """Receives a queue's messages over a connection of its own.

    What was delivered over a connection that is gone comes again over the next; it is left out here.
    """

    def __init__(self, url: str, name: str, queue_name: str) -> None:
        self.queue = queue_name
        self._link = Link(url, f"{name} consumer", opened=self._opened, lost=self._lost)
        self._channel: Channel | None = None
        self._deliveries: queue.SimpleQueue[Delivery] = queue.SimpleQueue()
        self._pace, self._wanted, self._enough = Pace(), 1, threading.Event()
        self.start, self.stop, self.check, self.drop = (
            self._link.start, self._link.stop, self._link.check, self._link.drop)  # fmt: skip

    def take(self, most: int, wait: float) -> list[Delivery]:
        """Return what is there, at most so many, after waiting at most `wait` seconds for the first."""
        taken: list[Delivery] = []
        self._gather(most)
        deadline = time.monotonic() + wait
        while len(taken) < most:
            try:
                left = 0.0 if taken else max(0.0, deadline - time.monotonic())
                delivery = self._deliveries.get(timeout=left) if left else self._deliveries.get_nowait()
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

        self._link.call(acknowledge)

    def _opened(self, channel: Channel) -> None:
        self._channel = channel
        channel.add_on_cancel_callback(lambda _: self.drop())  # the queue is gone: the next connection declares it anew
        channel.basic_qos(prefetch_count=PREFETCH)
        channel.basic_consume(self.queue, self._on_message)

    def _lost(self, _why: str) -> None:
        self._channel = None

    def _on_message(self, channel: Channel, method: Any, properties: BasicProperties, body: bytes) -> None:
        headers = properties.headers or {}
        self._deliveries.put(Delivery(channel, method.delivery_tag, body, headers, properties.message_id))
        if self._deliveries.qsize() == self._wanted:
            self._enough.set()
