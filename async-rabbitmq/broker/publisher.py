"""Confirmed publishing: a message counts as published when RabbitMQ says that it has it, on disk and in a queue."""

import contextlib
import itertools
import threading
from collections import deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from campus import clock, trace
from campus.events import Event
from campus.lifecycle import PartGroup
from pika import BasicProperties, spec
from pika.channel import Channel

from broker.connection import BrokerConnection, BrokerDown
from broker.topology import EXCHANGE, KEYS

REFUSED = "RabbitMQ refused it (nack)"


@dataclass(frozen=True, slots=True)
class Outgoing:
    """A message on its way to an exchange (`""` leads to the queue that the key names)."""

    exchange: str
    key: str
    body: bytes
    message_id: str
    headers: dict[str, Any] = field(default_factory=dict)

    @classmethod
    def for_event(cls, event: Event) -> "Outgoing":
        """Return an event for the exchange, to which all queues are bound."""
        return cls(EXCHANGE, KEYS[event.event_type], event.encode(), event.event_id)


class _Batch:
    """Messages that one caller waits for. Only the connection's thread writes it until `done` is set."""

    def __init__(self, messages: Sequence[Outgoing]) -> None:
        self.messages = messages
        self.troubles: list[str | None] = ["not confirmed in time"] * len(messages)
        self.left = len(messages)
        self.done = threading.Event()
        self.timed_out = False

    def settle(self, n: int, trouble: str | None) -> None:
        self.troubles[n] = trouble
        self.left -= 1
        if self.left == 0:
            self.done.set()


class Publisher(PartGroup):
    """Publishes for any thread, over one connection.

    Example:

        troubles = publisher.publish([Outgoing.for_event(event)], timeout=5)
        assert troubles == [None]  # RabbitMQ has it
    """

    def __init__(self, url: str, name: str) -> None:
        self._connection = BrokerConnection(url, f"{name} publisher", on_opened=self._on_opened, on_lost=self._on_lost)
        self._channel: Channel | None = None
        self._sent = 0
        self._handed: deque[_Batch] = deque()
        self._waiting: dict[int, tuple[_Batch, int]] = {}
        self._returned: dict[str, str] = {}  # by correlation_id: message ids may be missing, or the same
        super().__init__(self._connection)

    @property
    def checks(self) -> Mapping[str, Callable[[], None]]:
        """Whether something can be published."""
        return {"publisher": self.check}

    def check(self) -> None:
        """Raise BrokerDown, with why, when nothing can be published now."""
        self._connection.check()

    def publish(self, messages: Sequence[Outgoing], *, timeout: float) -> list[str | None]:
        """Publish in this order and wait; return for each message None, or why it may not have arrived.

        Raises BrokerDown, with nothing sent, when there is no connection or RabbitMQ takes no messages.
        """
        if not messages:
            return []
        self._connection.check()
        batch = _Batch(messages)
        trace_sent(messages)
        self._handed.append(batch)
        self._connection.call(self._send)
        if not clock.wait(batch.done, timeout):
            batch.timed_out = True
            with contextlib.suppress(ValueError):
                self._handed.remove(batch)
            self._connection.call(self._forget_timed_out)
        if REFUSED in batch.troubles:
            self._connection.leave_node()
        trace_confirmed(messages, batch.troubles)
        return list(batch.troubles)

    def _send(self) -> None:
        while self._handed and self._channel is not None:
            self._send_batch(self._handed.popleft(), self._channel)

    def _forget_timed_out(self) -> None:
        self._waiting = {sent: (batch, n) for sent, (batch, n) in self._waiting.items() if not batch.timed_out}
        self._returned = {sent: why for sent, why in self._returned.items() if int(sent) in self._waiting}

    def _send_batch(self, batch: _Batch, channel: Channel) -> None:
        for n, message in enumerate(batch.messages):
            if not channel.is_open:
                batch.settle(n, "the connection was lost")
                continue
            self._sent += 1
            self._waiting[self._sent] = batch, n
            properties = BasicProperties(
                content_type="application/json",
                delivery_mode=2,
                message_id=message.message_id,
                correlation_id=str(self._sent),
                headers=message.headers,
            )
            channel.basic_publish(message.exchange, message.key, message.body, properties, mandatory=True)

    def _on_opened(self, channel: Channel) -> None:
        self._channel, self._sent = channel, 0
        channel.add_on_return_callback(self._on_return)
        channel.confirm_delivery(self._on_confirm)
        self._send()  # what was handed over while the last connection broke

    def _on_lost(self, why: str) -> None:
        self._channel = None
        self._returned.clear()
        waiting, self._waiting = self._waiting, {}
        for batch, n in waiting.values():
            batch.settle(n, f"the connection was lost: {why}")

    def _on_return(self, _channel: Channel, method: Any, properties: BasicProperties, _body: bytes) -> None:
        # It comes before the confirmation of the same message: RabbitMQ confirms that it has dealt with it.
        sent = str(properties.correlation_id)
        if int(sent) in self._waiting:
            self._returned[sent] = f"returned: {method.reply_text} for {method.routing_key}"

    def _on_confirm(self, frame: Any) -> None:
        tag = frame.method.delivery_tag
        tags = itertools.takewhile(lambda sent: sent <= tag, self._waiting) if frame.method.multiple else [tag]
        trouble = None if isinstance(frame.method, spec.Basic.Ack) else REFUSED
        for sent in list(tags):
            returned = self._returned.pop(str(sent), None)
            if sent in self._waiting:  # else its publisher waits no longer
                batch, n = self._waiting.pop(sent)
                batch.settle(n, returned or trouble)


def trace_sent(messages: Sequence[Outgoing]) -> None:
    """Record that they are handed over."""
    for message in messages if trace.on else ():
        trace.note("message", trace.order_of(message.body), message.key, to="rabbitmq", event_id=message.message_id)


def trace_confirmed(messages: Sequence[Outgoing], troubles: Sequence[str | None]) -> None:
    """Record which of them were confirmed."""
    for message, trouble in zip(messages, troubles, strict=True) if trace.on else ():
        trace.note("confirm", trace.order_of(message.body), trouble or "", by="rabbitmq", touched=bool(trouble))


__all__ = ["BrokerDown", "Outgoing", "Publisher"]
