"""The bare baseline: three WSGI functions that call each other by http.client. No framework, no rules, no storage.

The module is also gunicorn's configuration: the services' own, without background loops to start and stop.
"""

import json
import os
import threading
from http.client import HTTPConnection
from urllib.parse import urlsplit

from campus.gunicorn_conf import *  # noqa: F403

_local = threading.local()


def post_worker_init(worker) -> None:
    """Start nothing."""


def worker_exit(server, worker) -> None:
    """Stop nothing."""


def order(environ, start_response):
    """Call inventory, then notification, and answer."""
    body = _body(environ)
    _call("INVENTORY_URL", "/reserve", body)
    _call("NOTIFICATION_URL", "/send", body)
    return _answer(start_response, "201 Created", {"order_id": "o1", "status": "notified"})


def inventory(environ, start_response):
    """Answer."""
    _body(environ)
    return _answer(start_response, "200 OK", {"order_id": "o1", "status": "reserved"})


notification = inventory


def _body(environ) -> dict:
    return json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"{}")


def _answer(start_response, status: str, body: dict) -> list[bytes]:
    data = json.dumps(body).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]


def _call(name: str, path: str, body: dict) -> dict:
    """Call over this thread's own connection, kept alive."""
    connections = _local.__dict__
    if name not in connections:
        connections[name] = HTTPConnection(urlsplit(os.environ[name]).netloc, timeout=10)
    connections[name].request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    return json.loads(connections[name].getresponse().read())
