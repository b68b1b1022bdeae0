"""Calls to another service: kept-alive connections, a limit on everything, and an honest answer to "did it happen?"."""

import io
import socket
import threading
import time
from collections import deque
from concurrent.futures import Future
from dataclasses import dataclass
from functools import partial
from http.client import HTTPConnection as PlainConnection
from http.client import HTTPException, HTTPResponse
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from campus import jsons

CONNECT_SECONDS = 1.0
MAX_REPLY = 1024 * 1024
MAX_HEADERS = 100
MAX_KEPT = 32
_TOO_LARGE = f"the answer is larger than {MAX_REPLY} bytes"


class ConnectFailed(Exception):
    """No connection: the other service never saw the request."""


class OutcomeUnknown(Exception):
    """The request was sent and no answer came: it may have been done, may be done later, or never."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of another service; `body` is its JSON object, empty when it sent something else."""

    status: int
    body: dict[str, Any]


class ServiceClient:
    """Another service, called from any thread, over connections that are kept for the next calls.

    A call takes as long as its time-out at most, name resolution, connecting and the whole of the answer included.
    urllib3's connections are used without its pool, and replies are read by their base class from http.client: the pool
    and urllib3's own response cost as much as the call (see the benchmark). They take no proxy from the environment and
    retry nothing.

    Example:

        inventory = ServiceClient("http://127.0.0.1:8001")
        reply = inventory.post("/reserve", {"order_id": "o1", "items": []}, timeout=5.0, request_id="r1")
    """

    def __init__(self, url: str) -> None:
        address = urllib3.util.parse_url(url)
        self._host, self._port = address.host or "", address.port or 80
        self._lookup = _Lookup(self._host.strip("[]"), self._port)
        self._kept: deque[HTTPConnection] = deque()

    def post(self, path: str, body: Any, *, timeout: float, request_id: str) -> Reply:
        """POST JSON and return the reply. Raises ConnectFailed, or OutcomeUnknown after `timeout` seconds."""
        headers = {"Content-Type": "application/json", "X-Request-ID": request_id}
        return self._call("POST", path, jsons.dumps(body), headers, timeout)

    def get(self, path: str, *, timeout: float, request_id: str) -> Reply:
        """GET and return the reply. Raises ConnectFailed, or OutcomeUnknown after `timeout` seconds."""
        return self._call("GET", path, None, {"X-Request-ID": request_id}, timeout)

    def close(self) -> None:
        """Close the kept connections."""
        while self._kept:
            self._kept.pop().close()

    def _call(self, method: str, path: str, data: bytes | None, headers: dict[str, str], timeout: float) -> Reply:
        deadline = time.monotonic() + timeout
        connection = self._kept_one() or self._new_one(deadline)
        try:
            connection.timeout = _left(deadline)
            connection.request(method, path, body=data, headers=headers)
            connection.response_class = partial(_Response, deadline)
            reply = PlainConnection.getresponse(connection)
            body = Reply(reply.status, _json(reply.whole()))
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            connection.close()  # a late answer must not be taken for that of the next call
            raise OutcomeUnknown(str(error) or type(error).__name__) from error
        if len(self._kept) < MAX_KEPT:
            self._kept.append(connection)
        else:
            connection.close()
        return body

    def _kept_one(self) -> HTTPConnection | None:
        """Return a connection that the other side has not closed, or None. The last one used is the first to be."""
        while True:
            try:
                connection = self._kept.pop()
            except IndexError:
                return None
            if connection.is_connected:
                return connection
            connection.close()

    def _new_one(self, deadline: float) -> HTTPConnection:
        """Return a new connection. Raises ConnectFailed."""
        connection = HTTPConnection(self._host, self._port)
        try:
            connection.sock = self._connect(min(deadline, time.monotonic() + CONNECT_SECONDS))
        except (OSError, ValueError) as error:
            raise ConnectFailed(str(error) or type(error).__name__) from error
        return connection

    def _connect(self, deadline: float) -> socket.socket:
        addresses = self._lookup.addresses(_left(deadline))
        failed = OSError("the host has no address")
        for n, (family, kind, protocol, _, address) in enumerate(addresses):
            connecting = socket.socket(family, kind, protocol)
            try:
                connecting.settimeout(_left(deadline) / (len(addresses) - n))
                connecting.connect(address)
                connecting.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
                return connecting
            except OSError as error:
                connecting.close()
                failed = error
        raise failed


class _Lookup:
    """Finds the addresses of a host in a thread of its own, one question at a time: getaddrinfo waits without limit."""

    def __init__(self, host: str, port: int) -> None:
        self._host, self._port = host, port
        self._turn = threading.Lock()
        self._asked: Future[list[Any]] | None = None

    def addresses(self, seconds: float) -> list[Any]:
        """Return what getaddrinfo says. Raises OSError, which a TimeoutError is, too."""
        with self._turn:
            if self._asked is None or self._asked.done():
                self._asked = Future()
                threading.Thread(target=self._ask, args=(self._asked,), daemon=True).start()
            asked = self._asked
        return asked.result(seconds)

    def _ask(self, asked: "Future[list[Any]]") -> None:
        try:
            asked.set_result(socket.getaddrinfo(self._host, self._port, type=socket.SOCK_STREAM))
        except Exception as error:  # whatever it is, it is what the callers must hear
            asked.set_exception(error)


class _Incoming(io.RawIOBase):
    """What comes in on a socket until a deadline, however slowly."""

    def __init__(self, connected: socket.socket, deadline: float) -> None:
        self._socket, self._deadline = connected, deadline
        self._stream = connected.makefile("rb", buffering=0)

    def makefile(self, _mode: str) -> io.BufferedReader:
        """Return the file that http.client reads."""
        return io.BufferedReader(self)

    def readable(self) -> bool:
        """Return True."""
        return True

    def readinto(self, buffer: Any) -> int | None:
        """Read what is there. Raises TimeoutError when the deadline has passed."""
        if time.monotonic() >= self._deadline:
            raise TimeoutError("the answer was not complete in time")
        self._socket.settimeout(_left(self._deadline))
        return self._stream.readinto(buffer)

    def close(self) -> None:
        """Give the socket back."""
        self._stream.close()
        super().close()


class _Response(HTTPResponse):
    """http.client's response, but for the headers: it reads these with the parser for e-mail, a third of a call."""

    def __init__(self, deadline: float, connected: socket.socket, method: str | None = None) -> None:
        super().__init__(_Incoming(connected, deadline), method=method)  # type: ignore[arg-type]

    def begin(self) -> None:
        """Read the status line and the headers. Raises HTTPException."""
        _, self.status, self.reason = self._read_status()
        self.version, headers = 11, {}
        for _ in range(MAX_HEADERS + 1):
            line = self.fp.readline(65537)
            if line in (b"\r\n", b"\n"):
                break
            if not line.endswith(b"\n"):
                raise HTTPException("the answer ends in its headers")
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        else:
            raise HTTPException(f"the answer has more than {MAX_HEADERS} headers")
        self.headers = self.msg = headers
        self.chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.length = int(headers["content-length"]) if "content-length" in headers and not self.chunked else None
        if self.length is not None and not 0 <= self.length <= MAX_REPLY:
            raise HTTPException(_TOO_LARGE)
        self.will_close = self._check_close() or (self.length is None and not self.chunked)

    def whole(self) -> bytes:
        """Return the body. Raises HTTPException when it is incomplete or larger than MAX_REPLY."""
        if self.length is not None:
            return self.read()
        data = self.read(MAX_REPLY + 1)
        if len(data) > MAX_REPLY:
            raise HTTPException(_TOO_LARGE)
        return data


def _left(deadline: float) -> float:
    return max(0.001, deadline - time.monotonic())


def _json(data: bytes) -> dict[str, Any]:
    try:
        body = jsons.loads(data)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
