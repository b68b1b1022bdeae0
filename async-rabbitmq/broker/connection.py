"""One connection to RabbitMQ in a thread of its own. It comes back whenever it is lost: in a cluster to another node.

pika's connections belong to one thread. Here it is this one: it answers heartbeats however long the service is busy
elsewhere, and other threads hand it work with `call`.
"""

import itertools
import logging
import random
import threading
from collections.abc import Callable
from typing import Any

import pika
from campus import clock
from campus.lifecycle import STOP_SECONDS, Part
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel

from broker import headers, topology

log = logging.getLogger("campus")

MAX_BACKOFF, MAX_BACKOFF_REFUSED = 1.0, 5.0  # between two attempts to connect; what was refused once will be again
OPEN_SECONDS = 10.0  # for the name, the connection, and the topology together
ASK_SECONDS, ANSWER_SECONDS = 2.0, 5.0  # how often RabbitMQ is asked something, and how long its answer may take
HEARTBEAT = 20  # a connection that was silent for this long is closed; in a cluster, after ANSWER_SECONDS


class BrokerDown(ConnectionError):
    """There is no connection to RabbitMQ; its text says why."""


class BrokerConnection(Part):
    """Keeps a channel open on which the topology is declared, and asks every other second whether it is still there.

    `url` is the address of RabbitMQ, or those of all nodes of a cluster, with commas between them: each attempt to
    connect takes the next.

    So a deleted queue or binding is there again soon; and a broker that does not answer is noticed, though its port
    accepts. It only asks: a queue that is declared while RabbitMQ deletes it may keep consumers that get nothing more
    and are not told (seen with RabbitMQ 3.10). In the connection's thread, `on_opened(channel)` is called for each new
    channel, and `on_lost(why)` when it is gone.
    """

    def __init__(
        self, url: str, name: str, *, on_opened: Callable[[Channel], None], on_lost: Callable[[str], None]
    ) -> None:
        headers.accept_all()
        nodes = [_parameters(address.strip(), name) for address in url.split(",")]
        self._nodes = itertools.cycle(random.sample(nodes, len(nodes)))  # shuffled, so that clients do not crowd on one
        self._is_cluster = len(nodes) > 1
        self._name, self._notify_opened, self._notify_lost = name, on_opened, on_lost
        self._connection: SelectConnection | None = None
        self._channel: Channel | None = None
        self._why = "not connected yet"
        self._blocked: str | None = None
        self._refused: str | None = None
        self._asked: float | None = None  # when RabbitMQ was asked what it has not answered yet
        self._pause, self._dropped = 0.0, False
        self._changing = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"connection {name}", daemon=True)

    def start(self) -> None:
        """Start the thread. It connects now, or as soon as there is a broker."""
        self._thread.start()

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Close the connection and end the thread; wait at most `timeout` seconds for it."""
        self._stopping.set()
        self.drop()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def drop(self) -> None:
        """Close the connection; unless this is stopping, there will be a new one."""

        def close() -> None:
            self._dropped = True
            if self._connection and not (self._connection.is_closing or self._connection.is_closed):
                self._connection.close()

        self.call(close)

    def leave_node(self) -> None:
        """Go to another node of a cluster, on a new channel, because this channel refused a message (nack).

        With RabbitMQ 3.10 we saw a channel, opened just after a node was killed, refuse every message for one queue
        until that node was back, while the queue had a leader. A new connection was confirmed at once.
        """
        if self._is_cluster:
            self.drop()

    def call(self, work: Callable[[], Any]) -> None:
        """Have `work` done in the connection's thread; nothing happens when there is no connection."""
        with self._changing:
            if self._connection is not None:
                self._connection.ioloop.add_callback_threadsafe(work)

    def check(self) -> None:
        """Raise BrokerDown, with why, when nothing can be sent now."""
        asked = self._asked
        if self._channel is None:
            raise BrokerDown(self._why)
        if self._blocked is not None:
            raise BrokerDown(f"RabbitMQ takes no messages: {self._blocked}")
        if asked is not None and (silent := clock.monotonic() - asked) > ANSWER_SECONDS:
            raise BrokerDown(f"RabbitMQ has not answered for {silent:.0f} s")

    def connect(self) -> SelectConnection:
        """Begin one connection, and return it: it works while its event loop runs."""
        connection = SelectConnection(
            next(self._nodes),
            on_open_callback=self._on_open,
            on_open_error_callback=self._on_closed,
            on_close_callback=self._on_closed,
        )
        with self._changing:
            self._connection = connection
        connection.ioloop.call_later(OPEN_SECONDS, self._give_up_opening)
        return connection

    def ended(self, *, was_open: bool) -> float:
        """Let go of the connection whose event loop has ended; return how long to wait before the next."""
        self._forget_connection()
        self._set_pause(was_open)
        return self._pause

    def _run(self) -> None:
        while not self._stopping.wait(self._pause):
            was_open = False
            try:
                self.connect().ioloop.start()
                was_open = self._channel is not None
            except Exception as error:  # whatever it is, the next connection may work
                log.exception("%s: the connection broke", self._name)
                self._why = f"{type(error).__name__}: {error}"
            self.ended(was_open=was_open)

    @property
    def is_open(self) -> bool:
        """Whether there is a channel on which the topology is declared."""
        return self._channel is not None

    def _set_pause(self, was_open: bool) -> None:
        refused, self._refused = self._refused, None
        dropped, self._dropped = self._dropped, False
        if dropped or (was_open and not refused):
            self._pause = 0.1
        else:
            self._pause = min(max(2 * self._pause, 0.1), MAX_BACKOFF_REFUSED if refused else MAX_BACKOFF)

    def _on_open(self, connection: SelectConnection) -> None:
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        connection.channel(on_open_callback=self._on_channel_open)

    def _on_channel_open(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._on_channel_closed)
        self._ask(channel)

    def _ask(self, channel: Channel) -> None:
        """Declare everything, or ask for it. RabbitMQ answers the last question when it has done all before it."""
        if channel.is_open:
            self._asked = asked = clock.monotonic()
            if self._is_cluster:
                channel.connection.ioloop.call_later(ANSWER_SECONDS, lambda: self._leave_silent_node(channel, asked))
            (topology.declare if self._channel is None else topology.look)(channel)
            channel.exchange_declare(topology.EXCHANGE, passive=True, callback=lambda _: self._answered(channel))

    def _answered(self, channel: Channel) -> None:
        self._asked = None
        if self._channel is None:
            self._channel, self._why = channel, "connected"
            log.info("%s: connected to RabbitMQ", self._name)
            self._notify_opened(channel)
        else:
            self._pause = 0.0  # it lasts
        channel.connection.ioloop.call_later(ASK_SECONDS, lambda: self._ask(channel))

    def _on_channel_closed(self, channel: Channel, reason: Exception) -> None:
        if channel.connection.is_open:  # RabbitMQ refused something; begin anew
            self._refused = _refusal(reason)
            channel.connection.close()

    def _on_closed(self, connection: Any, reason: BaseException | str) -> None:
        self._say(self._refused or f"RabbitMQ cannot be reached: {_plain(reason)}")
        connection.ioloop.stop()

    def _give_up_opening(self) -> None:
        if self._channel is None and self._connection is not None:
            self._say(f"RabbitMQ cannot be reached: no connection within {OPEN_SECONDS:.0f} s")
            self._connection.ioloop.stop()

    def _leave_silent_node(self, channel: Channel, asked: float) -> None:
        """Go to another node if this one has not answered since: a frozen one would hold the connection for long."""
        if self._asked == asked:
            self._say(f"RabbitMQ has not answered for {ANSWER_SECONDS:.0f} s")
            channel.connection.ioloop.stop()

    def _say(self, why: str) -> None:
        if why != self._why and not self._stopping.is_set():
            log.warning("%s: %s", self._name, why)
        self._why = why

    def _on_blocked(self, _connection: SelectConnection, method: Any) -> None:
        self._blocked = method.method.reason
        log.warning("%s: RabbitMQ takes no messages: %s", self._name, self._blocked)

    def _on_unblocked(self, _connection: SelectConnection, _method: Any) -> None:
        self._blocked = None
        log.info("%s: RabbitMQ takes messages again", self._name)

    def _forget_connection(self) -> None:
        with self._changing:
            connection, self._connection, self._blocked, self._asked = self._connection, None, None, None
        if connection is not None:
            transport = connection._transport
            if transport is not None and transport._sock is not None:
                transport._close_and_finalize()  # pika leaves a socket open when its own code raised
            connection.ioloop.close()
        if self._channel is not None:
            self._channel = None
            self._notify_lost(self._why)


def _parameters(address: str, name: str) -> pika.URLParameters:
    """Return how to connect to one node."""
    parameters = pika.URLParameters(address)
    parameters.client_properties = {"connection_name": name}
    parameters.socket_timeout = parameters.stack_timeout = 5
    if parameters.heartbeat is None:
        parameters.heartbeat = HEARTBEAT
    return parameters


def _refusal(reason: Exception) -> str:
    """Return what RabbitMQ refused, and what helps."""
    said = f"RabbitMQ closed the channel: {_plain(reason)}"
    if getattr(reason, "reply_code", 0) == 406 and "inequivalent arg" in said:
        return f"{said}. It exists with other arguments: delete it, or run ./lab up async-rabbitmq --fresh"
    return said


def _plain(reason: Any) -> str:
    """Return what is at the bottom of pika's wrapped exceptions."""
    inner = [getattr(reason, "exception", None), *getattr(reason, "exceptions", ()), *getattr(reason, "args", ())]
    causes = [cause for cause in inner if isinstance(cause, BaseException)]
    return _plain(causes[-1]) if causes else str(reason)
