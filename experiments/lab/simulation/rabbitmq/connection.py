"""pika's SelectConnection and its event loop, over the broker in memory.

Frames travel both ways through queues, as they do through sockets: what a process wrote is at the broker only after
`flush`, and what the broker sent reaches the process in `pump`. A connection that is cut loses what is in between.
"""

from collections import deque
from collections.abc import Callable
from types import SimpleNamespace
from typing import Any

from pika.exceptions import ConnectionClosedByClient, StreamLostError

from lab.simulation.rabbitmq.broker import Broker
from lab.simulation.rabbitmq.channel import Channel, Record


class EventLoop:
    """Callbacks that the connection's thread would call: at once, or at a time."""

    def __init__(self, now: Callable[[], float]) -> None:
        self._now = now
        self.calls: deque[Callable[[], Any]] = deque()
        self.timers: list[tuple[float, Callable[[], Any]]] = []
        self.stopped = False

    def add_callback_threadsafe(self, work: Callable[[], Any]) -> None:
        """Have this called soon."""
        self.calls.append(work)

    def call_later(self, seconds: float, work: Callable[[], Any]) -> None:
        """Have this called in so many seconds."""
        self.timers.append((self._now() + seconds, work))

    def stop(self) -> None:
        """End the loop: the thread goes on behind it."""
        self.stopped = True

    def close(self) -> None:
        """Forget everything."""
        self.calls.clear()
        self.timers.clear()

    def take_due(self) -> None:
        """Queue the timers whose time has come."""
        now = self._now()
        if self.timers and min(at for at, _ in self.timers) <= now:
            self.calls.extend(work for at, work in self.timers if at <= now)
            self.timers = [(at, work) for at, work in self.timers if at > now]


class Connection:
    """One connection of a process. `effect` and `record` are those of the simulation."""

    def __init__(
        self,
        broker: Broker | None,
        now: Callable[[], float],
        *,
        opened: Callable[[Any], Any],
        closed: Callable[[Any, Any], Any],
        effect: Callable[["Connection", str], None] = lambda *_: None,
        record: Record = lambda *_, **__: None,
    ) -> None:
        self.ioloop, self.broker = EventLoop(now), broker
        self.effect, self.record = effect, record
        self._closed = closed
        self._transport = None  # pika's, of which BrokerConnection knows that a socket may be left open
        self.channels: list[Channel] = []
        self.outgoing: deque[Callable[[Broker], None]] = deque()
        self.is_open, self.is_closing, self.is_closed = broker is not None, False, broker is None
        self.busy = False  # its thread stands still in the middle of a callback
        self.on_blocked: list[tuple[Callable[..., Any], Callable[..., Any]]] = []
        self._blocked_callback: Callable[..., Any] = lambda *_: None
        self._unblocked_callback: Callable[..., Any] = lambda *_: None
        self.ioloop.add_callback_threadsafe(lambda: self._begin(opened))

    def _begin(self, opened: Callable[[Any], Any]) -> None:
        if self.broker is None:
            self._closed(self, ConnectionRefusedError("[Errno 111] Connection refused"))
        else:
            opened(self)

    def add_on_connection_blocked_callback(self, callback: Callable[..., Any]) -> None:
        """Have this called when RabbitMQ takes no more messages."""
        self._blocked_callback = callback

    def add_on_connection_unblocked_callback(self, callback: Callable[..., Any]) -> None:
        """Have this called when RabbitMQ takes messages again."""
        self._unblocked_callback = callback

    def channel(self, on_open_callback: Callable[[Any], Any]) -> None:
        """Open a channel."""
        made = Channel(self)
        self.channels.append(made)
        self.ioloop.add_callback_threadsafe(lambda: on_open_callback(made))

    def close(self) -> None:
        """Say goodbye to the broker, which has read everything by then."""
        if self.is_open and self.broker is not None:
            self.flush()
            self._end(ConnectionClosedByClient(200, "Normal shutdown"))

    def cut(self, why: str = "Transport indicated EOF") -> None:
        """The network fails: what travels, either way, is lost."""
        self.outgoing.clear()
        if self.is_open:
            self._end(StreamLostError(f"Stream connection lost: {why}"))

    def die(self) -> None:
        """The process is gone. Its system sends what was written, and closes."""
        if self.is_open:
            self.flush()
            self._leave()

    def block(self, reason: str | None) -> None:
        """The broker says that it takes no messages, or, with None, that it takes them again."""
        frame = SimpleNamespace(method=SimpleNamespace(reason=reason))
        callback = self._unblocked_callback if reason is None else self._blocked_callback
        self.ioloop.add_callback_threadsafe(lambda: callback(self, frame))

    def _end(self, reason: Exception) -> None:
        self._leave()
        self.ioloop.calls.clear()
        self.ioloop.timers.clear()
        self.ioloop.add_callback_threadsafe(lambda: self._closed(self, reason))

    def _leave(self) -> None:
        self.is_open, self.is_closed = False, True
        for channel in self.channels:
            channel.leave()
        if self.broker is not None:
            self.broker.close_connection(self)

    def flush(self) -> None:
        """Let the broker read what was written, one frame after the other."""
        while self.outgoing and self.broker is not None and self.is_open:
            self.outgoing.popleft()(self.broker)

    def pump(self, *, blocked: bool = False) -> None:
        """Do what the connection's thread does when there is something to do."""
        self.busy = True
        try:
            self.ioloop.take_due()
            while (self.ioloop.calls or (self.outgoing and not blocked)) and not self.ioloop.stopped:
                if self.outgoing and not blocked and self.broker is not None:
                    self.outgoing.popleft()(self.broker)
                else:
                    self.ioloop.calls.popleft()()
        finally:
            self.busy = False
