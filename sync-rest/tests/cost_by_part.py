"""Measures where the processor time of Part A goes, each part alone, and prints it as JSON lines (microseconds).

`./lab bench sync-rest` runs it; it is not a test.
"""

import contextlib
import json
import logging
import os
import tempfile
import threading
import time
from collections.abc import Callable
from http.client import HTTPConnection
from socketserver import ThreadingMixIn
from typing import Any
from wsgiref.simple_server import WSGIRequestHandler, WSGIServer

import requests
from campus import notifications, order_store, stock
from campus.database import Database
from campus.ids import new_order_id
from campus.order_store import PendingStep
from campus.orders import NOTIFIED, RESERVED, Order
from campus.schemas import read_order
from campus.service_client import ServiceClient
from flask import Flask, request
from inventory_service.app import create_app
from testing.cost_parts import ITEMS, TIMES
from testing.cost_parts import request as request_of


def main() -> None:
    """Measure each part and print it."""
    with tempfile.TemporaryDirectory() as folder:
        for part, work in (_storage(folder) | _web(folder)).items():
            print(json.dumps({"part": part, "us": _cost(work)}), flush=True)
        with _tiny_server() as port:
            for part, work in _clients(port).items():
                print(json.dumps({"part": part, "us": _cost(work)}), flush=True)


def _cost(work: Callable[[], Any]) -> float:
    """Return the processor time of this thread for one call, in microseconds: the best of three."""
    for _ in range(100):
        work()
    best = float("inf")
    for _ in range(3):
        began = time.thread_time()
        for _ in range(TIMES):
            work()
        best = min(best, (time.thread_time() - began) / TIMES * 1e6)
    return round(best, 1)


def _storage(folder: str) -> dict[str, Callable[[], Any]]:
    orders = Database(f"sqlite:///{folder}/orders.db", order_store.metadata)
    inventory = Database(f"sqlite:///{folder}/inventory.db", stock.metadata)
    sent = Database(f"sqlite:///{folder}/notification.db", notifications.metadata)
    with inventory.transaction() as tx:
        stock.fill(tx, "100000000")

    def order() -> None:
        placed = Order.place(user_id="u1", items=ITEMS, request_id="r1")
        reserved = placed.advance(RESERVED)
        with orders.transaction() as tx:
            order_store.place(tx, placed, key=None, pending_step=PendingStep("ask", "me"))
        with orders.transaction() as tx:
            order_store.save(tx, placed, reserved, step="ask", pending_step=PendingStep("notify", "me"))
        with orders.transaction() as tx:
            order_store.save(tx, reserved, reserved.advance(NOTIFIED), step="notify", pending_step=None)

    def reserve() -> None:
        with inventory.transaction() as tx:
            stock.reserve(tx, new_order_id(), ITEMS)

    def send() -> None:
        with sent.transaction() as tx:
            notifications.send(tx, new_order_id(), "u1")

    return {
        "storage: an order placed, reserved, notified (3 commits)": order,
        "storage: a reservation (1 commit)": reserve,
        "storage: a notification (1 commit)": send,
    }


def _web(folder: str) -> dict[str, Callable[[], Any]]:
    bare = Flask("bare")

    @bare.post("/reserve")
    def answer() -> dict[str, str]:
        return {"order_id": request.get_json()["order_id"]}

    app = create_app({"DATABASE_URL": f"sqlite:///{folder}/app.db", "INITIAL_STOCK": "100000000"})
    logging.getLogger("campus").handlers[0].setStream(open(os.devnull, "w"))  # noqa: SIM115 - until the end
    form = {"user_id": "u1", "items": ITEMS}
    return {
        "request rules: an order's body": lambda: read_order(form),
        "web: Flask alone, one request": request_of(bare, "/reserve", _form),
        "web: the frame (ids, log line, metrics, error), one request": request_of(app, "/nothing", _form),
        "web and storage: POST /reserve as a whole": request_of(app, "/reserve", _form),
    }


def _form() -> dict[str, Any]:
    return {"order_id": new_order_id(), "items": ITEMS}


def _clients(port: int) -> dict[str, Callable[[], Any]]:
    url = f"http://127.0.0.1:{port}"
    client, session, plain = ServiceClient(url), requests.Session(), requests.Session()
    plain.trust_env = False
    low = HTTPConnection("127.0.0.1", port)
    headers = {"Content-Type": "application/json"}

    def by_http_client() -> None:
        low.request("POST", "/send", json.dumps({"a": 1}), headers)
        json.loads(low.getresponse().read())

    return {
        "call: requests.Session": lambda: session.post(f"{url}/send", json={"a": 1}, timeout=5).json(),
        "call: requests.Session, trust_env off": lambda: plain.post(f"{url}/send", json={"a": 1}, timeout=5).json(),
        "call: the services' own client": lambda: client.post("/send", {"a": 1}, timeout=5, request_id="r"),
        "call: http.client, as the bare baseline does": by_http_client,
    }


class _Server(ThreadingMixIn, WSGIServer):
    daemon_threads = True


class _Handler(WSGIRequestHandler):
    """Answers each request with the same few bytes, and keeps the connection."""

    def handle(self) -> None:
        """Answer until the caller leaves."""
        reply = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n{}"
        with contextlib.suppress(OSError):
            while data := self.request.recv(65536):
                while not data.endswith(b"}"):
                    data += self.request.recv(65536)
                self.request.sendall(reply)


@contextlib.contextmanager
def _tiny_server():
    server = _Server(("127.0.0.1", 0), _Handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield server.server_port
    finally:
        server.shutdown()


if __name__ == "__main__":
    main()
