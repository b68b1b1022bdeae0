"""Whether a broker answers."""

import contextlib
import socket
from collections.abc import Iterable, Iterator

# What a client says first, and how the answer begins: AMQP 0.9.1 and a method frame; ApiVersions, and a reply.
HELLO = {
    "rabbitmq": (b"AMQP\x00\x00\x09\x01", b"\x01"),
    "postgres": (b"\x00\x00\x00\x08\x04\xd2\x16\x2f", b"N"),  # may this be encrypted? No
    "kafka": (b"\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x01\xff\xff", b"\x00\x00"),
}


def answers(kind: str, ports: Iterable[int], timeout: float) -> bool:
    """Return whether a broker, or one of its nodes, speaks to a client that connects, and not only listens."""
    return any(answering(kind, ports, timeout))


def answering(kind: str, ports: Iterable[int], timeout: float) -> Iterator[int]:
    """Yield the ports at which a node does."""
    hello, reply = HELLO[kind]
    for port in ports:
        with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), timeout) as connection:
            connection.sendall(hello)
            if connection.recv(len(reply)) == reply:
                yield port
