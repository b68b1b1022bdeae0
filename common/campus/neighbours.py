"""Calls to another service: kept-alive connections, bounded waiting, and an honest answer to "did it happen?"."""

from dataclasses import dataclass
from typing import Any

import urllib3
from urllib3.exceptions import ConnectTimeoutError, HTTPError, NewConnectionError

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
    """Another service, called from any thread. urllib3 takes no proxy from the environment, and here retries nothing.

    Example:

        inventory = Neighbour("http://127.0.0.1:8001")
        reply = inventory.post("/reserve", {"order_id": "o1", "items": []}, timeout=5.0, request_id="r1")
    """

    def __init__(self, url: str, *, connections: int = 32) -> None:
        self._pool = urllib3.connection_from_url(url, maxsize=connections, retries=False)

    def post(self, path: str, body: Any, *, timeout: float, request_id: str) -> Reply:
        """POST JSON and return the reply. Raises NotSent, or NoAnswer after `timeout` seconds of silence."""
        data = jsons.dumps(body)
        headers = {"Content-Type": "application/json", "X-Request-ID": request_id}
        return self._call("POST", path, data, headers, timeout)

    def get(self, path: str, *, timeout: float, request_id: str) -> Reply:
        """GET and return the reply. Raises NotSent, or NoAnswer after `timeout` seconds of silence."""
        return self._call("GET", path, None, {"X-Request-ID": request_id}, timeout)

    def close(self) -> None:
        """Close the kept connections."""
        self._pool.close()

    def _call(self, method: str, path: str, data: bytes | None, headers: dict[str, str], timeout: float) -> Reply:
        wait = urllib3.Timeout(total=timeout, connect=min(CONNECT_SECONDS, timeout))
        try:
            reply = self._pool.urlopen(method, path, body=data, headers=headers, timeout=wait)
        except (NewConnectionError, ConnectTimeoutError) as error:
            raise NotSent(str(error)) from error
        except (HTTPError, OSError) as error:
            raise NoAnswer(str(error)) from error
        return Reply(reply.status, _json(reply.data))


def _json(data: bytes) -> dict[str, Any]:
    try:
        body = jsons.loads(data)
    except ValueError:
        return {}
    return body if isinstance(body, dict) else {}
