"""Requests to a service in memory: Flask's own test client costs as much as the services' work."""

import io
import json
import sys
from dataclasses import dataclass
from typing import Any

_ENVIRON = {
    "REQUEST_METHOD": "GET",
    "SCRIPT_NAME": "",
    "QUERY_STRING": "",
    "SERVER_NAME": "localhost",
    "SERVER_PORT": "80",
    "SERVER_PROTOCOL": "HTTP/1.1",
    "HTTP_HOST": "localhost",
    "REMOTE_ADDR": "127.0.0.1",
    "wsgi.version": (1, 0),
    "wsgi.url_scheme": "http",
    "wsgi.errors": sys.stderr,
    "wsgi.multithread": True,
    "wsgi.multiprocess": False,
    "wsgi.run_once": False,
}


@dataclass(frozen=True)
class Reply:
    """What a service answered."""

    status_code: int
    data: bytes

    @property
    def json(self) -> Any:
        """The value of its body; None of an empty one."""
        return json.loads(self.data) if self.data else None


class Client:
    """Sends requests to one app."""

    def __init__(self, app: Any) -> None:
        self._app = app

    def open(self, path: str, *, method: str = "GET", data: Any = b"", headers: dict[str, str] | None = None) -> Reply:
        """Send a request; `path` has no query."""
        body = data.encode() if isinstance(data, str) else data or b""
        environ: dict[str, Any] = _ENVIRON | {"REQUEST_METHOD": method, "PATH_INFO": path}
        environ |= {"wsgi.input": io.BytesIO(body), "CONTENT_LENGTH": str(len(body))}
        for name, value in (headers or {}).items():
            key = name.upper().replace("-", "_")
            environ[key if key in ("CONTENT_TYPE", "CONTENT_LENGTH") else f"HTTP_{key}"] = value
        said: list[str] = []
        parts = self._app(environ, lambda status, _headers, _error=None: said.append(status))
        return Reply(int(said[0][:3]), b"".join(parts))

    def post(self, path: str, *, json: Any, headers: dict[str, str] | None = None) -> Reply:
        """Send a value as JSON."""
        return self.open(path, method="POST", data=_dumps(json), headers=_JSON | (headers or {}))

    def delete(self, path: str) -> Reply:
        """Send a DELETE."""
        return self.open(path, method="DELETE")


_JSON = {"Content-Type": "application/json"}
_dumps = json.dumps
