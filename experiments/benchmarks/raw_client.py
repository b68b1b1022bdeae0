"""A closed loop that costs little: kept-alive raw sockets, one thread, a request made beforehand.

For benchmarks on a machine that the servers share: what the client uses, the servers do not get.
"""

import json
import selectors
import socket
import time
from dataclasses import dataclass, field
from typing import Any

BODY = json.dumps({"user_id": "bench", "items": [{"sku": "burger", "qty": 1}]})
HEAD = "POST /order HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: "
REQUEST = f"{HEAD}{len(BODY)}\r\n\r\n{BODY}".encode()


@dataclass
class Sample:
    """What the clients got done: each order's latency in seconds, how many went wrong, and how long it all took."""

    latencies: list[float] = field(default_factory=list)
    bad: int = 0
    seconds: float = 0.0

    @property
    def rate(self) -> float:
        """Orders a second."""
        return len(self.latencies) / self.seconds


def drive(port: int, clients: int, seconds: float, *, count: float = float("inf"), wanted: int = 201) -> Sample:
    """Send the same order again and again from so many connections at once, for so many seconds, or `count` times.

    An answer whose status is not `wanted` is bad.
    Raises ConnectionError when the server breaks a connection, TimeoutError when it stops answering.
    """
    sample, sent, began = Sample(), {}, time.perf_counter()

    def send(connection: socket.socket | None) -> None:
        if connection is None:
            connection = socket.create_connection(("127.0.0.1", port), timeout=30)
            connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            selector.register(connection, selectors.EVENT_READ)
        sent[connection] = time.perf_counter()
        connection.sendall(REQUEST)

    with selectors.DefaultSelector() as selector:
        for _ in range(int(min(clients, count))):
            send(None)
        while sent:
            ready = selector.select(timeout=30)
            if not ready:
                raise TimeoutError(f"the server on port {port} stopped answering")
            for key, _ in ready:
                connection: Any = key.fileobj
                good, keep = _read_reply(connection, str(wanted).encode())
                now = time.perf_counter()
                sample.latencies.append(now - sent.pop(connection))
                sample.bad += not good
                more = len(sample.latencies) + len(sent) < count and now - began < seconds
                if not (more and keep):
                    selector.unregister(connection)
                    connection.close()
                if more:
                    send(connection if keep else None)
    sample.seconds = time.perf_counter() - began
    return sample


def _read_reply(connection: socket.socket, wanted: bytes) -> tuple[bool, bool]:
    """Read one reply to its end; return (whether it has this status, whether the connection may be used again)."""
    data = _more(connection)
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _more(connection)
    head = data[:end].lower()
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    while len(data) < end + 4 + length:
        data += _more(connection)
    return data.split(b" ", 2)[1] == wanted, b"connection: close" not in head


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("the server closed the connection in the middle of a reply")
    return data
