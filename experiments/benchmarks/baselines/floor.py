"""The floor: three bare WSGI functions that call each other by http.client. No framework, no rules, no storage."""

import http.client
import json
import os
import threading

_local = threading.local()


def order(environ, start_response):
    """Call inventory, then notification, and answer."""
    body = _body(environ)
    _call(int(os.environ["INVENTORY_PORT"]), "/reserve", body)
    _call(int(os.environ["NOTIFICATION_PORT"]), "/send", body)
    return _answer(start_response, "201 Created", {"order_id": "o1", "status": "notified"})


def inventory(environ, start_response):
    """Answer."""
    _body(environ)
    return _answer(start_response, "200 OK", {"order_id": "o1", "status": "reserved"})


def notification(environ, start_response):
    """Answer."""
    _body(environ)
    return _answer(start_response, "200 OK", {"order_id": "o1"})


def _body(environ) -> dict:
    return json.loads(environ["wsgi.input"].read(int(environ.get("CONTENT_LENGTH") or 0)) or b"{}")


def _answer(start_response, status: str, body: dict) -> list[bytes]:
    data = json.dumps(body).encode()
    start_response(status, [("Content-Type", "application/json"), ("Content-Length", str(len(data)))])
    return [data]


def _call(port: int, path: str, body: dict) -> dict:
    """Call over this thread's own connection, kept alive."""
    connections = _local.__dict__
    if port not in connections:
        connections[port] = http.client.HTTPConnection("127.0.0.1", port, timeout=10)
    connections[port].request("POST", path, json.dumps(body), {"Content-Type": "application/json"})
    return json.loads(connections[port].getresponse().read())
