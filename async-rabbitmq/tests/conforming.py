"""A client of RabbitMQ that speaks to a real node or to the one in memory, for the scenarios of the conformance."""

import contextlib
import socket
import time
from collections.abc import Callable
from typing import Any, Protocol

import pika
from lab.simulation.rabbitmq.broker import Broker
from lab.simulation.rabbitmq.connection import Connection
from pika.exceptions import AMQPError, ChannelClosedByBroker, NackError, UnroutableError

QUIET_SECONDS = 0.25  # without a message for so long, a real node has no more
# A delivery: its body, whether it came before, how often it went back, and why it was dead-lettered.
Got = tuple[str, bool, int, str]


class Peer(Protocol):
    """One connection with one channel."""

    def declare(self, queue: str, *, exclusive: bool = False, passive: bool = False, **arguments: Any) -> str: ...
    def counts(self, queue: str) -> tuple[int, int]: ...
    def bind(self, queue: str, key: str) -> str: ...
    def delete(self, queue: str) -> None: ...
    def publish(self, key: str, body: str, *, exchange: str = "", mandatory: bool = True) -> str: ...
    def consume(self, queue: str, *, prefetch: int = 0, auto_ack: bool = False) -> str: ...
    def cancel(self, tag: str) -> None: ...
    def got(self) -> list[Got]: ...
    def ack(self, n: int, *, multiple: bool = False) -> None: ...
    def reject(self, n: int, *, requeue: bool) -> None: ...
    def closed(self) -> int: ...
    def leave(self) -> None: ...
    def cut(self) -> None: ...


def _got(headers: dict[str, Any] | None, body: bytes, redelivered: bool) -> Got:
    headers = headers or {}
    deaths = headers.get("x-death") or [{}]
    reason = deaths[0].get("reason", "")
    return body.decode(), redelivered, int(headers.get("x-delivery-count", 0)), str(reason)


class Simulated:
    """A node in memory; `wait` moves its clock."""

    def __init__(self) -> None:
        self.now = 0.0
        self.broker = Broker(lambda: self.now)
        self.peers: list[SimulatedPeer] = []

    def connect(self) -> "SimulatedPeer":
        self.peers.append(SimulatedPeer(self))
        return self.peers[-1]

    def name(self, queue: str) -> str:
        return queue

    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.broker.tick()


class SimulatedPeer:
    def __init__(self, node: Simulated) -> None:
        self._node, self._got, self._tags, self._code = node, [], [], 0
        self._last, self._returned = "", False
        self.connection = Connection(
            node.broker, lambda: node.now, opened=lambda c: c.channel(self._opened), closed=lambda *_: None
        )
        self._pump()

    def _opened(self, channel: Any) -> None:
        self.channel = channel
        channel.add_on_close_callback(lambda _channel, reason: setattr(self, "_code", reason.reply_code))
        channel.add_on_return_callback(lambda *_: setattr(self, "_returned", True))
        channel.confirm_delivery(lambda frame: setattr(self, "_last", frame.method.NAME))

    def _pump(self) -> None:
        for peer in (*self._node.peers, self):
            peer.connection.pump()

    def _done(self) -> str:
        self._pump()
        return str(self._code) if self._code else "ok"

    def declare(self, queue: str, *, exclusive: bool = False, passive: bool = False, **arguments: Any) -> str:
        self.channel.queue_declare(queue, exclusive=exclusive, passive=passive, arguments=_arguments(arguments))
        return self._done()

    def counts(self, queue: str) -> tuple[int, int]:
        found = []
        self.channel.queue_declare(queue, passive=True, callback=found.append)
        self._pump()
        return found[0].method.message_count, found[0].method.consumer_count

    def bind(self, queue: str, key: str) -> str:
        self.channel.exchange_declare("conforming", "topic", durable=True)
        self.channel.queue_bind(queue, "conforming", key)
        return self._done()

    def delete(self, queue: str) -> None:
        self._node.broker.delete_queue(queue)
        self._pump()

    def publish(self, key: str, body: str, *, exchange: str = "", mandatory: bool = True) -> str:
        self._last, self._returned = "", False
        self.channel.basic_publish(exchange, key, body.encode(), pika.BasicProperties(), mandatory)
        self._pump()
        if self._code:
            return str(self._code)
        return "returned" if self._returned else {"Basic.Ack": "confirmed", "Basic.Nack": "refused"}[self._last]

    def consume(self, queue: str, *, prefetch: int = 0, auto_ack: bool = False) -> str:
        self.channel.basic_qos(prefetch_count=prefetch)
        tag = self.channel.basic_consume(queue, self._on_message, auto_ack=auto_ack)
        self._pump()
        return str(self._code) if self._code else tag

    def _on_message(self, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        self._tags.append(method.delivery_tag)
        self._got.append(_got(properties.headers, body, method.redelivered))

    def cancel(self, tag: str) -> None:
        self.channel.basic_cancel(tag)
        self._pump()

    def got(self) -> list[Got]:
        self._pump()
        got, self._got = self._got, []
        return got

    def ack(self, n: int, *, multiple: bool = False) -> None:
        self.channel.basic_ack(self._tags[n] if n < len(self._tags) else 99, multiple)
        self._pump()

    def reject(self, n: int, *, requeue: bool) -> None:
        self.channel.basic_reject(self._tags[n], requeue)
        self._pump()

    def closed(self) -> int:
        self._pump()
        return self._code

    def leave(self) -> None:
        self.connection.close()

    def cut(self) -> None:
        self.connection.cut()


class Real:
    """A real node, on which each scenario has queues of its own names."""

    def __init__(self, url: str, scenario: str) -> None:
        self._url, self._scenario = url, scenario
        self.peers: list[RealPeer] = []

    def connect(self) -> "RealPeer":
        self.peers.append(RealPeer(pika.BlockingConnection(pika.URLParameters(self._url)), self._scenario))
        return self.peers[-1]

    def wait(self, seconds: float) -> None:
        time.sleep(seconds + 0.2)

    def close(self) -> None:
        for peer in self.peers:
            peer.leave()


class RealPeer:
    def __init__(self, connection: pika.BlockingConnection, scenario: str) -> None:
        self._connection, self._scenario = connection, scenario
        self._got: list[Got] = []
        self._tags: list[int] = []
        self._code = 0
        self._channel = connection.channel()
        self._channel.confirm_delivery()

    def _name(self, queue: str) -> str:
        return f"{self._scenario}.{queue}" if queue else queue

    def _try(self, do: Callable[[], Any]) -> str:
        try:
            do()
        except ChannelClosedByBroker as error:
            self._code = error.reply_code
            return str(error.reply_code)
        return "ok"

    def declare(self, queue: str, *, exclusive: bool = False, passive: bool = False, **arguments: Any) -> str:
        given = _arguments(arguments)
        if "x-dead-letter-routing-key" in given:
            given["x-dead-letter-routing-key"] = self._name(given["x-dead-letter-routing-key"])
        options: dict[str, Any] = {"passive": passive, "exclusive": exclusive, "durable": not exclusive}
        if not exclusive:
            given |= {"x-queue-type": "quorum"}
        return self._try(lambda: self._channel.queue_declare(self._name(queue), arguments=given, **options))

    def counts(self, queue: str) -> tuple[int, int]:
        """Messages that wait, and consumers."""
        method = self._channel.queue_declare(self._name(queue), passive=True).method
        return method.message_count, method.consumer_count

    def bind(self, queue: str, key: str) -> str:
        self._channel.exchange_declare("conforming", "topic", durable=True)
        return self._try(lambda: self._channel.queue_bind(self._name(queue), "conforming", self._name(key)))

    def delete(self, queue: str) -> None:
        self._channel.queue_delete(self._name(queue))

    def publish(self, key: str, body: str, *, exchange: str = "", mandatory: bool = True) -> str:
        properties = pika.BasicProperties(delivery_mode=2)
        try:
            self._channel.basic_publish(exchange, self._name(key), body.encode(), properties, mandatory)
        except UnroutableError:
            return "returned"
        except NackError:
            return "refused"
        except ChannelClosedByBroker as error:
            self._code = error.reply_code
            return str(error.reply_code)
        return "confirmed"

    def consume(self, queue: str, *, prefetch: int = 0, auto_ack: bool = False) -> str:
        self._channel.basic_qos(prefetch_count=prefetch)
        try:
            return self._channel.basic_consume(self._name(queue), self._on_message, auto_ack=auto_ack)
        except ChannelClosedByBroker as error:
            self._code = error.reply_code
            return str(error.reply_code)

    def _on_message(self, _channel: Any, method: Any, properties: Any, body: bytes) -> None:
        self._tags.append(method.delivery_tag)
        self._got.append(_got(properties.headers, body, method.redelivered))

    def cancel(self, tag: str) -> None:
        self._channel.basic_cancel(tag)

    def got(self) -> list[Got]:
        before = -1
        while before != len(self._got):
            before = len(self._got)
            self._listen()
        got, self._got = self._got, []
        return got

    def _listen(self) -> None:
        with contextlib.suppress(AMQPError):
            self._connection.process_data_events(QUIET_SECONDS)

    def ack(self, n: int, *, multiple: bool = False) -> None:
        self._channel.basic_ack(self._tags[n] if n < len(self._tags) else 99, multiple)
        self._listen()

    def reject(self, n: int, *, requeue: bool) -> None:
        self._channel.basic_reject(self._tags[n], requeue)
        self._listen()

    def closed(self) -> int:
        self._listen()
        if self._code == 0 and self._channel.is_closed:
            reason: Any = self._channel._impl._closing_reason
            self._code = reason.reply_code
        return self._code

    def leave(self) -> None:
        with contextlib.suppress(AMQPError):
            self._connection.close()

    def cut(self) -> None:
        connection: Any = self._connection
        connection._impl._transport._sock.shutdown(socket.SHUT_RDWR)
        with contextlib.suppress(AMQPError):
            self._connection.process_data_events(0.1)


def _arguments(given: dict[str, Any]) -> dict[str, Any]:
    """Return a queue's arguments as RabbitMQ names them: `message_ttl` is x-message-ttl."""
    return {f"x-{name.replace('_', '-')}": value for name, value in given.items()}
