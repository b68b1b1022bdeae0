"""Calls to another service: kept-alive connections, a limit on everything, and an honest answer to "did it happen?"."""

import socket
import threading
from dataclasses import dataclass
from functools import partial
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool
from urllib3.connection import HTTPConnection
from urllib3.exceptions import HTTPError

from campus import clock, jsons, trace
from campus.bounded import Bounded
from campus.lifecycle import STOP_SECONDS, Part

CONNECT_SECONDS = 1.0
MAX_REPLY = 1024 * 1024
MAX_KEPT = 32


class ConnectFailed(Exception):
    """No connection: the other service never saw the request."""


class OutcomeUnknown(Exception):
    """The request was sent and no answer came: it may have been done, may be done later, or never."""


@dataclass(frozen=True, slots=True)
class Reply:
    """The answer of another service; `body` is its JSON object, empty when it sent something else."""

    status: int
    body: dict[str, Any]


class ServiceClient(Part):
    """Another service, called from any thread, over connections that are kept for the next calls.

    It uses the adapter of `requests` without a Session, whose redirects, cookies, proxies and .netrc no service needs:
    a call takes less than half the processor time so (see the benchmark). The adapter sends a request once.

    Example:

        inventory = ServiceClient("http://127.0.0.1:8001")
        reply = inventory.post("/reserve", {"order_id": "o1", "items": []}, timeout=5.0, request_id="r1")
    """

    def __init__(self, url: str) -> None:
        self._url, self._adapter = url, _Adapter(url)

    def post(self, path: str, body: Any, *, timeout: float, request_id: str) -> Reply:
        """POST JSON and return the reply. Raises ConnectFailed, or OutcomeUnknown after `timeout` seconds."""
        data = jsons.dumps(body)
        trace.note("call", body.get("order_id"), f"POST {path}", to=self._url)
        headers = {"Content-Type": "application/json", "Content-Length": str(len(data)), "X-Request-ID": request_id}
        try:
            return self._call("POST", path, headers, data, timeout)
        except (ConnectFailed, OutcomeUnknown) as error:
            trace.note("fault", body.get("order_id"), f"POST {path}: {error}", by=self._url, touched=True)
            raise

    def get(self, path: str, *, timeout: float, request_id: str) -> Reply:
        """GET and return the reply. Raises ConnectFailed, or OutcomeUnknown after `timeout` seconds."""
        return self._call("GET", path, {"X-Request-ID": request_id}, None, timeout)

    def stop(self, timeout: float = STOP_SECONDS) -> None:
        """Close the kept connections."""
        self._adapter.close()

    def _call(self, method: str, path: str, headers: dict[str, str], data: bytes | None, timeout: float) -> Reply:
        request = requests.PreparedRequest()
        request.method, request.url, request.body = method, self._url + path, data
        request.headers = headers  # ty: ignore[invalid-assignment]  # any mapping does
        _this_call.deadline, _this_call.body = clock.monotonic() + timeout, data
        try:
            with self._adapter.send(request, stream=True, timeout=timeout) as reply:
                body = reply.raw.read(MAX_REPLY + 1)
        except (requests.RequestException, HTTPError) as error:
            raise OutcomeUnknown(str(error) or type(error).__name__) from error
        if len(body) > MAX_REPLY:
            raise OutcomeUnknown(f"the answer is larger than {MAX_REPLY} bytes")
        return Reply(reply.status_code, _json_object(body))


class _Adapter(HTTPAdapter):
    """The adapter for one host. It need not look for the host's connections, and its answers have no cookies."""

    def __init__(self, url: str) -> None:
        super().__init__(pool_maxsize=MAX_KEPT)
        self._pool = super().get_connection_with_tls_context(requests.Request("GET", url).prepare(), verify=True)
        lookup = Bounded(partial(_addresses, self._pool.host, self._pool.port), CONNECT_SECONDS)
        made: Any = self._pool  # its connections may come from any function
        made.ConnectionCls = partial(_Connection, lookup)

    def get_connection_with_tls_context(self, *_: Any, **__: Any) -> HTTPConnectionPool:
        """Return the connections of the host."""
        return self._pool

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> requests.Response:
        """Return status and body alone."""
        response = requests.Response()
        response.status_code, response.raw = resp.status, resp
        return response


# requests limits each wait for bytes. One limit for the whole call is set here, for the connection that it uses.
_this_call = threading.local()


def _left() -> float:
    """Return how many seconds this thread's call may still take. Raises TimeoutError when there are none."""
    left = _this_call.deadline - clock.monotonic()
    if left <= 0:
        raise TimeoutError("the answer was not complete in time")
    return left


def _addresses(host: str, port: int | None) -> list[Any]:
    return socket.getaddrinfo(host.strip("[]"), port, type=socket.SOCK_STREAM)


class _Connection(HTTPConnection):
    """Connects within the time of the call, and within CONNECT_SECONDS, or raises ConnectFailed."""

    def __init__(self, lookup: Bounded[list[Any]], *args: Any, **options: Any) -> None:
        super().__init__(*args, **options)
        self._lookup = lookup  # in a thread of its own, as getaddrinfo has no limit

    def connect(self) -> None:
        """Try the addresses of the host, one after the other."""
        deadline = clock.monotonic() + min(_left(), CONNECT_SECONDS)
        failed: Exception = OSError("the host has no address")
        try:
            addresses = self._lookup(_left())
        except (OSError, ValueError) as error:
            addresses, failed = [], error
        for n, (family, kind, protocol, _, address) in enumerate(addresses):
            sock = _Socket(family, kind, protocol)
            try:
                sock.settimeout(max(0.001, deadline - clock.monotonic()) / (len(addresses) - n))
                sock.connect(address)
                sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            except OSError as error:
                sock.close()
                failed = error
            else:
                self.sock = sock
                return
        raise ConnectFailed(str(failed) or type(failed).__name__) from failed


MORE_FOLLOWS = getattr(socket, "MSG_MORE", 0)  # only Linux knows it


class _Socket(socket.socket):
    """A socket on which each wait for bytes ends with the call. The head of a request leaves together with its body."""

    def sendall(self, data: Any, flags: int = 0, /) -> None:
        """Send; what comes before the body waits for it, as two packets would wake the other service twice."""
        comes_before_it = _this_call.body is not None and data is not _this_call.body
        super().sendall(data, MORE_FOLLOWS if comes_before_it else flags)

    def recv_into(self, buffer: Any, nbytes: int = 0, flags: int = 0) -> int:
        """Read what is there. Raises TimeoutError when the call has no time left."""
        self.settimeout(_left())
        return super().recv_into(buffer, nbytes, flags)


def _json_object(data: bytes) -> dict[str, Any]:
    try:
        body = jsons.loads(data)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
