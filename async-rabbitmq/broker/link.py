"""One connection to RabbitMQ in a thread of its own, which comes back whenever it is lost.

pika's connections belong to one thread. Here it is this one: it answers heartbeats however long the service is busy
elsewhere, and other threads hand it work with `call`.
"""

import logging
import threading
from collections.abc import Callable
from typing import Any

import pika
from pika.adapters.select_connection import SelectConnection
from pika.channel import Channel

from broker import topology

log = logging.getLogger("campus")

SLOWEST = 1.0


class BrokerDown(ConnectionError):
    """There is no connection to RabbitMQ; its text says why."""


class Link:
    """Keeps a channel open on which the topology is declared.

    In the link's thread, `opened(channel)` is called for each new channel, and `lost(why)` when it is gone.
    """

    def __init__(self, url: str, name: str, *, opened: Callable[[Channel], None], lost: Callable[[str], None]) -> None:
        self._parameters = pika.URLParameters(url)
        self._parameters.client_properties = {"connection_name": name}
        self._parameters.socket_timeout = self._parameters.stack_timeout = 5
        self._name, self._opened, self._lost = name, opened, lost
        self._connection: SelectConnection | None = None
        self._channel: Channel | None = None
        self._why = "not connected yet"
        self._blocked: str | None = None
        self._refused: str | None = None
        self._changing = threading.Lock()
        self._stopping = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"link {name}", daemon=True)

    def start(self) -> None:
        """Start the thread. It connects now, or as soon as there is a broker."""
        self._thread.start()

    def stop(self, timeout: float = 5.0) -> None:
        """Close the connection and end the thread; wait at most `timeout` seconds for it."""
        self._stopping.set()
        self.drop()
        if self._thread.is_alive():
            self._thread.join(timeout)

    def drop(self) -> None:
        """Close the connection; unless the link is stopping, there will be a new one."""
        self.call(lambda: self._connection and not self._connection.is_closing and self._connection.close())

    def call(self, work: Callable[[], Any]) -> None:
        """Have `work` done in the link's thread; nothing happens when there is no connection."""
        with self._changing:
            if self._connection is not None:
                self._connection.ioloop.add_callback_threadsafe(work)

    def check(self) -> None:
        """Raise BrokerDown, with why, when nothing can be sent now."""
        if self._channel is None:
            raise BrokerDown(self._why)
        if self._blocked is not None:
            raise BrokerDown(f"RabbitMQ takes no messages: {self._blocked}")

    def _run(self) -> None:
        pause = 0.0
        while not self._stopping.wait(pause):
            was_open = False
            try:
                connection = SelectConnection(
                    self._parameters,
                    on_open_callback=self._on_open,
                    on_open_error_callback=self._on_closed,
                    on_close_callback=self._on_closed,
                )
                with self._changing:
                    self._connection = connection
                connection.ioloop.start()
                was_open = self._channel is not None
            except Exception as error:  # whatever it is, the next connection may work
                log.exception("%s: the connection broke", self._name)
                self._why = f"{type(error).__name__}: {error}"
            self._forget_connection()
            pause = 0.1 if was_open else min(max(2 * pause, 0.1), SLOWEST)

    def _on_open(self, connection: SelectConnection) -> None:
        connection.add_on_connection_blocked_callback(self._on_blocked)
        connection.add_on_connection_unblocked_callback(self._on_unblocked)
        connection.channel(on_open_callback=self._on_channel_open)

    def _on_channel_open(self, channel: Channel) -> None:
        channel.add_on_close_callback(self._on_channel_closed)
        topology.declare(channel)
        self._channel, self._why = channel, "connected"
        log.info("%s: connected to RabbitMQ", self._name)
        self._opened(channel)

    def _on_channel_closed(self, channel: Channel, reason: Exception) -> None:
        if channel.connection.is_open:  # RabbitMQ refused something; begin anew
            self._refused = f"RabbitMQ closed the channel: {_plain(reason)}"
            channel.connection.close()

    def _on_closed(self, connection: SelectConnection, reason: Exception | str) -> None:
        why, self._refused = self._refused or f"RabbitMQ cannot be reached: {_plain(reason)}", None
        if why != self._why and not self._stopping.is_set():
            log.warning("%s: %s", self._name, why)
        self._why = why
        connection.ioloop.stop()

    def _on_blocked(self, _connection: SelectConnection, method: Any) -> None:
        self._blocked = method.method.reason
        log.warning("%s: RabbitMQ takes no messages: %s", self._name, self._blocked)

    def _on_unblocked(self, _connection: SelectConnection, _method: Any) -> None:
        self._blocked = None
        log.info("%s: RabbitMQ takes messages again", self._name)

    def _forget_connection(self) -> None:
        with self._changing:
            connection, self._connection, self._blocked = self._connection, None, None
        if connection is not None:
            connection.ioloop.close()
        if self._channel is not None:
            self._channel = None
            self._lost(self._why)


def _plain(reason: Any) -> str:
    """Return what is at the bottom of pika's wrapped exceptions."""
    inner = [getattr(reason, "exception", None), *getattr(reason, "exceptions", ()), *getattr(reason, "args", ())]
    causes = [cause for cause in inner if isinstance(cause, BaseException)]
    return _plain(causes[-1]) if causes else str(reason)
