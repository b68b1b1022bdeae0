"""Whether a broker answers."""

import socket

from lab.services import Service

# What a client says first, and how a broker's answer begins: AMQP 0.9.1 and a method frame; ApiVersions, and a reply.
HELLO = {
    "rabbitmq": (b"AMQP\x00\x00\x09\x01", b"\x01"),
    "kafka": (b"\x00\x00\x00\x0a\x00\x12\x00\x00\x00\x00\x00\x01\xff\xff", b"\x00\x00"),
}


def answers(service: Service, timeout: float) -> bool:
    """Return whether a broker speaks to who connects, and not only listens."""
    try:
        with socket.create_connection(("127.0.0.1", service.port), timeout) as connection:
            hello, reply = HELLO[service.name]
            connection.sendall(hello)
            return connection.recv(len(reply)) == reply
    except OSError:
        return False
