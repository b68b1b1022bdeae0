"""A closed loop that costs little: kept-alive raw sockets, one thread, a request made beforehand.

For benchmarks on a machine that the servers share: what the client uses, the servers do not get.
"""

import json
import selectors
import socket
import time
from dataclasses import dataclass, field


@dataclass
class Sample:
    """What `clients` got done: orders a second, each order's latency in seconds, and how many went wrong."""

    clients: int
    seconds: float
    latencies: list[float] = field(default_factory=list)
    bad: int = 0

    @property
    def rate(self) -> float:
        """Orders a second."""
        return len(self.latencies) / self.seconds


def drive(port: int, clients: int, seconds: float, *, count: int | None = None, wanted: int = 201) -> Sample:
    """Send the same order again and again from `clients` connections at once for so many seconds, or `count` times.

    An answer whose status is not `wanted` is bad.
    Raises ConnectionError when the server breaks a connection, TimeoutError when it stops answering.
    """
    request, good_reply = _request("/order"), f"HTTP/1.1 {wanted}".encode()
    left = float("inf") if count is None else count
    sample = Sample(clients, seconds)
    sent: dict[socket.socket, float] = {}

    def send(connection: socket.socket) -> None:
        nonlocal left
        left -= 1
        sent[connection] = time.perf_counter()
        connection.sendall(request)

    def connect() -> socket.socket:
        connection = socket.create_connection(("127.0.0.1", port), timeout=30)
        connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        selector.register(connection, selectors.EVENT_READ)
        return connection

    with selectors.DefaultSelector() as selector:
        began = time.perf_counter()
        for _ in range(min(clients, count or clients)):
            send(connect())
        while sent:
            ready = selector.select(timeout=30)
            if not ready:
                raise TimeoutError(f"the server on port {port} stopped answering")
            for key, _ in ready:
                connection = key.fileobj
                good, keep = _read_reply(connection, good_reply)
                now = time.perf_counter()
                sample.latencies.append(now - sent.pop(connection))
                sample.bad += not good
                more = left > 0 and now - began < seconds
                if more and keep:
                    send(connection)
                    continue
                selector.unregister(connection)
                connection.close()
                if more:
                    send(connect())
        sample.seconds = time.perf_counter() - began
    return sample


def _request(path: str) -> bytes:
    body = json.dumps({"user_id": "bench", "items": [{"sku": "burger", "qty": 1}]}).encode()
    head = f"POST {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nContent-Type: application/json\r\nContent-Length: {len(body)}"
    return head.encode() + b"\r\n\r\n" + body


def _read_reply(connection: socket.socket, good: bytes) -> tuple[bool, bool]:
    """Read one reply to its end and return (whether it begins as `good`, whether the connection may be used again)."""
    data = _more(connection)
    while (end := data.find(b"\r\n\r\n")) < 0:
        data += _more(connection)
    head = data[:end].lower()
    length = int(head.split(b"content-length:")[1].split(b"\r\n")[0])
    while len(data) < end + 4 + length:
        data += _more(connection)
    return data.startswith(good), b"connection: close" not in head


def _more(connection: socket.socket) -> bytes:
    data = connection.recv(65536)
    if not data:
        raise ConnectionError("the server closed the connection in the middle of a reply")
    return data
