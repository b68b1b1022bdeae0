"""The laboratory's own look into RabbitMQ: how many messages wait, and publishing that is confirmed."""

import contextlib
import logging
import re
import socket
from collections.abc import Iterator, Sequence
from itertools import chain
from typing import TYPE_CHECKING, Any

from lab.brokers.message import BrokerMessage
from lab.errors import LabError
from lab.services import Service

if TYPE_CHECKING:  # pika is loaded where it is used: it takes a fifth of a command's start, and most never need it
    from pika.adapters.blocking_connection import BlockingChannel, BlockingConnection

NAME = "rabbitmq"
WORK = ("order-placed", "inventory-reserved", "order-status")
PLACED, RESERVED = WORK[:2]
COUNTED = ("queue", WORK)
EXCHANGE = "orders"
RETRY_SECONDS = (1, 2, 4, 8)  # of the retry queues; a test holds it against Part B
BUSY_SECONDS = 5
OLDEST = (3, 10)  # the first release whose quorum queues have a TTL

logging.getLogger("pika").setLevel(logging.CRITICAL + 1)  # the caller reports what went wrong


def dead_letters(queue: str) -> str:
    """Return the name of a queue's dead-letter queue."""
    return f"{queue}.dlq"


def waiting_rooms(queue: str) -> list[str]:
    """Return the names of the queues in which a queue's failed messages wait."""
    return [f"{queue}.retry-{seconds}s" for seconds in RETRY_SECONDS]


ALL = (*WORK, *map(dead_letters, WORK))


def connect(service: Service) -> "BlockingConnection":
    """Return a connection. Raises pika's AMQPError."""
    import pika

    _read_any_headers()
    nodes = [pika.URLParameters(url) for url in service.urls]
    for node in nodes:
        node.client_properties = {"connection_name": "lab"}
        node.socket_timeout = node.stack_timeout = BUSY_SECONDS
        node.heartbeat = BUSY_SECONDS  # a frozen broker must not hold us for a minute
        node.blocked_connection_timeout = BUSY_SECONDS  # nor one that takes nothing for want of memory or disk
    return pika.BlockingConnection(nodes)


def _read_any_headers() -> None:
    """Let pika leave out headers that it has no value for (a time in the year 58121): else they end the connection."""
    from pika import spec

    class Properties(spec.BasicProperties):
        def decode(self, encoded: bytes, offset: int = 0) -> "Properties":
            try:
                super().decode(encoded, offset)
            except Exception:  # whatever pika meets
                self.headers = None
            return self

    props: Any = spec.props
    props[spec.BasicProperties.INDEX] = Properties


@contextlib.contextmanager
def channel(service: Service) -> Iterator["BlockingChannel"]:
    """Open a channel for the block. Raises LabError when RabbitMQ cannot be reached, then or later."""
    with in_plain_words(service), contextlib.closing(connect(service)) as connection:
        yield connection.channel()


@contextlib.contextmanager
def in_plain_words(service: Service) -> Iterator[None]:
    """Raise LabError for whatever pika raises in the block."""
    from pika.exceptions import AMQPError, NackError, UnroutableError

    try:
        yield
    except (NackError, UnroutableError) as error:
        raise LabError(f"RabbitMQ did not take a message ({type(error).__name__})") from None
    except (AMQPError, OSError) as error:
        why = type(error).__name__
        raise LabError(f"RabbitMQ does not answer at 127.0.0.1:{service.port} ({why})", f"./lab start {NAME}") from None


def version(service: Service) -> str:
    """Return the release of RabbitMQ, as it says when a client connects. Raises LabError."""
    from pika.frame import decode_frame

    data = b""
    with in_plain_words(service), socket.create_connection(("127.0.0.1", service.port), BUSY_SECONDS) as connection:
        connection.sendall(b"AMQP\x00\x00\x09\x01")
        while (frame := decode_frame(data)[1]) is None and (more := connection.recv(4096)):
            data += more
    method: Any = getattr(frame, "method", None)
    said = method.server_properties["version"] if method else "unknown"
    return said.decode() if isinstance(said, bytes) else said


def check_release(said: str) -> None:
    """Raise LabError for a release that is too old for the retry queues of Part B."""
    found = re.match(r"(\d+)\.(\d+)", said)
    if found and (int(found[1]), int(found[2])) < OLDEST:
        raise LabError(
            f"RabbitMQ {said} is too old: its quorum queues have no TTL, which retries need; 3.10 is the first with it",
            "use the package of Debian 12, Ubuntu 24.04 or Homebrew, or start Docker",
        )


def ready(on: "BlockingChannel", queue: str) -> int:
    """Return how many messages of a queue no consumer holds. Raises AMQPError where there is no such queue."""
    answer: Any = on.queue_declare(queue, passive=True).method
    return answer.message_count


def publish(on: "BlockingChannel", queue: str, letters: Sequence[BrokerMessage]) -> list[str | None]:
    """Put letters into a queue, each confirmed, and return their ids. Raises AMQPError for one that is not taken."""
    import pika

    on.confirm_delivery()
    for letter in letters:
        properties = pika.BasicProperties(
            content_type="application/json", delivery_mode=2, message_id=letter.message_id, headers=letter.headers
        )
        on.basic_publish("", queue, letter.body, properties, mandatory=True)
    return [letter.message_id for letter in letters]


def take(on: "BlockingChannel", queue: str) -> Iterator[tuple[int, BrokerMessage]]:
    """Yield `(delivery tag, letter)` of every message that is there now; what is not acknowledged stays there."""
    for _ in range(ready(on, queue)):
        found: tuple[Any, Any, Any] = on.basic_get(queue)
        method, properties, body = found
        if method is None:
            return
        yield method.delivery_tag, BrokerMessage(body, properties.message_id, properties.headers or {})


def letters(service: Service, queues: Sequence[str] = WORK) -> list[tuple[str, BrokerMessage]]:
    """Return `(work queue, letter)` for all that is dead-lettered; it stays where it is. Raises LabError."""
    with channel(service) as on:
        return [(queue, letter) for queue in queues for _, letter in take(on, dead_letters(queue))]


def send_back(service: Service, queue: str) -> int:
    """Put what is dead-lettered now into its queue again, as if it had never failed, and return how many.

    A message is taken away only when RabbitMQ has it in the work queue; in between it may be in both. Raises LabError.
    """
    count = 0
    with channel(service) as on:
        for tag, letter in take(on, dead_letters(queue)):
            publish(on, queue, [BrokerMessage(letter.body, letter.message_id, {})])
            on.basic_ack(tag)
            count += 1
    return count


def waiting(service: Service) -> int:
    """Return how many messages wait in the work queues. Raises LabError."""
    with channel(service) as on:
        return sum(ready(on, queue) for queue in WORK)


def empty(service: Service) -> None:
    """Delete every queue, and the exchange. Raises LabError."""
    with channel(service) as on:
        for queue in (*ALL, *chain.from_iterable(map(waiting_rooms, WORK))):
            on.queue_delete(queue)
        on.exchange_delete(EXCHANGE)


class Queues:
    """The queues of one broker, over a connection that is made anew whenever it is lost."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._channel: Any = None

    def depths(self) -> list[tuple[str, int]]:
        """Return `(queue, messages ready)` of each queue; nothing while the broker cannot be asked."""
        try:
            with in_plain_words(self._service):
                if self._channel is None:
                    self._channel = connect(self._service).channel()
                return [(queue, ready(self._channel, queue)) for queue in ALL]
        except LabError:
            lost, self._channel = self._channel, None
            with contextlib.suppress(LabError), in_plain_words(self._service):
                if lost is not None:
                    lost.connection.close()
            return []
