"""Calls to another service: kept-alive connections, bounded waiting, and an honest answer to "did it happen?"."""

import threading
import time
from dataclasses import dataclass
from http.client import HTTPConnection as PlainConnection
from http.client import HTTPException, HTTPResponse
from typing import Any

import urllib3
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from campus import jsons

CONNECT_SECONDS = 1.0


class NotSent(Exception):
    """No connection: the other service never saw the request."""


class NoAnswer(Exception):
    """The request was sent and no answer came: it may have been done, may be done later, or never."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of another service; `body` is its JSON object, empty when it sent something else."""

    status: int
    body: dict[str, Any]


class Neighbour:
    """Another service, called from any thread, each over a connection of its own that is kept for the next call.

    urllib3's connections are used without its pool, and replies are read by their base class from http.client: the pool
    and urllib3's own response cost as much as the call (see the benchmark). They take no proxy from the environment and
    retry nothing.

    Example:

        inventory = Neighbour("http://127.0.0.1:8001")
        reply = inventory.post("/reserve", {"order_id": "o1", "items": []}, timeout=5.0, request_id="r1")
    """

    def __init__(self, url: str) -> None:
        address = urllib3.util.parse_url(url)
        self._host, self._port = address.host or "", address.port or 80
        self._mine = threading.local()
        self._all: list[HTTPConnection] = []

    def post(self, path: str, body: Any, *, timeout: float, request_id: str) -> Reply:
        """POST JSON and return the reply. Raises NotSent, or NoAnswer after `timeout` seconds of silence."""
        headers = {"Content-Type": "application/json", "X-Request-ID": request_id}
        return self._call("POST", path, jsons.dumps(body), headers, timeout)

    def get(self, path: str, *, timeout: float, request_id: str) -> Reply:
        """GET and return the reply. Raises NotSent, or NoAnswer after `timeout` seconds of silence."""
        return self._call("GET", path, None, {"X-Request-ID": request_id}, timeout)

    def close(self) -> None:
        """Close the kept connections."""
        for connection in self._all:
            connection.close()

    def _call(self, method: str, path: str, data: bytes | None, headers: dict[str, str], timeout: float) -> Reply:
        connection = self._connected(timeout)
        try:
            connection.request(method, path, body=data, headers=headers)
            reply = PlainConnection.getresponse(connection)
            return Reply(reply.status, _json(reply.read()))
        except (HTTPError, HTTPException, OSError, ValueError) as error:
            connection.close()  # a late answer must not be taken for that of the next call
            raise NoAnswer(str(error) or type(error).__name__) from error

    def _connected(self, timeout: float) -> HTTPConnection:
        """Return this thread's connection, made anew if the other side has closed it. Raises NotSent."""
        connection = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = HTTPConnection(self._host, self._port)
            connection.response_class = _Response
            self._all.append(connection)
        if not connection.is_connected:
            connection.close()
            began = time.monotonic()
            connection.timeout = min(CONNECT_SECONDS, timeout)
            try:
                connection.connect()
            except (HTTPError, OSError) as error:
                raise NotSent(str(error)) from error
            timeout = max(0.001, timeout - (time.monotonic() - began))
        connection.timeout = timeout
        connection.sock.settimeout(timeout)
        return connection


class _Response(HTTPResponse):
    """http.client's response, but for the headers: it reads these with the parser for e-mail, a third of a call."""

    def begin(self) -> None:
        """Read the status line and the headers. Raises HTTPException."""
        _, self.status, self.reason = self._read_status()
        self.version, headers = 11, {}
        while (line := self.fp.readline(65537)) not in (b"\r\n", b"\n"):
            if not line.endswith(b"\n"):
                raise HTTPException("the answer ends in its headers")
            name, _, value = line.decode("latin-1").partition(":")
            headers[name.lower()] = value.strip()
        self.headers = self.msg = headers
        self.chunked = headers.get("transfer-encoding", "").lower() == "chunked"
        self.chunk_left = None
        self.length = int(headers["content-length"]) if "content-length" in headers and not self.chunked else None
        self.will_close = self._check_close() or (self.length is None and not self.chunked)


def _json(data: bytes) -> dict[str, Any]:
    try:
        body = jsons.loads(data)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
