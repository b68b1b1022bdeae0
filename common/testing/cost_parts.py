"""What the scripts share that measure where the processor time of a part goes: piece by piece, in one process."""

import io
import json
import logging
import os
import time
from collections.abc import Callable
from typing import Any

from benchmarks.programs import app_alone
from campus.events import ORDER_PLACED, Event, order_placed, parse
from campus.orders import Order
from campus.schemas import read_order
from flask import Flask

ITEMS = [{"sku": "burger", "qty": 1}]
TIMES = 1500

Parts = dict[str, tuple[Callable[[], Any], int]]  # what is called, and how many orders one call is


def show(parts: Parts) -> None:
    """Measure each part and print it as a JSON line, in microseconds."""
    for part, (work, orders) in parts.items():
        print(json.dumps({"part": part, "us": _cost(work, orders)}), flush=True)


def _cost(work: Callable[[], Any], orders: int) -> float:
    """Return the processor time of this process for one order, in microseconds: the best of three."""
    times = max(1, TIMES // orders)
    for _ in range(max(1, times // 10)):
        work()
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - began) / (times * orders) * 1e6)
    return round(best, 1)


def placed() -> Event:
    """Return the event of a new order."""
    return order_placed(Order.place(user_id="u1", items=ITEMS, request_id="r1"))


def messages() -> Parts:
    """Return what the transport has nothing to do with: an event from its making to its reading."""
    message = placed()
    body = message.encode()
    return {
        "message: made, with its id": (placed, 1),
        "message: encoded": (message.encode, 1),
        "message: read and checked": (lambda: parse(body, ORDER_PLACED), 1),
    }


def web(service: Flask, whole: str) -> Parts:
    """Return `POST /order`: its rules, the app alone, and the service's own under this name."""
    alone = app_alone.create_app()
    handler: Any = logging.getLogger("campus").handlers[0]
    handler.setStream(open(os.devnull, "w"))  # noqa: SIM115 - until the end
    form = {"user_id": "u1", "items": ITEMS}

    def order() -> dict[str, Any]:
        return form

    return {
        "request rules: an order's body": (lambda: read_order(form), 1),
        "web: POST /order, the app alone": (request(alone, "/order", order), 1),
        whole: (request(service, "/order", order), 1),
    }


def request(app: Flask, path: str, form: Callable[[], dict[str, Any]]) -> Callable[[], Any]:
    """Return what sends a POST request with this form to an app, without a server."""

    def start_response(*_: Any) -> Any:
        return None

    def call() -> None:
        body = json.dumps(form()).encode()
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": path,
            "QUERY_STRING": "",
            "SERVER_NAME": "x",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
        }
        b"".join(app(environ, start_response))

    return call
