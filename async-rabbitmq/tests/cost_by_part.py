"""Measures where the processor time of Part B goes, each part alone, and prints it as JSON lines (microseconds).

`./lab bench async-rabbitmq` runs it; it is not a test. Usage: cost_by_part.py RABBITMQ_URL
"""

import io
import itertools
import json
import logging
import os
import sys
import tempfile
import time
from collections.abc import Callable
from typing import Any

from broker.publisher import Outgoing, Publisher
from campus import notices, order_book, stock
from campus.database import Database
from campus.forms import read_order
from campus.messages import INVENTORY_RESERVED, NOTIFICATION_SENT, ORDER_PLACED, Message, event, order_placed, read
from campus.orders import Order
from campus.work import Task
from flask import Flask
from inventory_service import app as inventory
from lab.contestants import app_alone
from notification_service import app as notification
from order_service import app as order_service

ITEMS = [{"sku": "burger", "qty": 1}]
BATCH = 100
TIMES = 1500

Parts = dict[str, tuple[Callable[[], Any], int]]  # what is called, and how many orders one call is


def main(url: str) -> None:
    """Measure each part and print it."""
    with tempfile.TemporaryDirectory() as folder:
        for part, (work, orders) in (_messages() | _storage(folder) | _web(folder) | _broker(url)).items():
            print(json.dumps({"part": part, "us": _cost(work, orders)}), flush=True)


def _cost(work: Callable[[], Any], orders: int) -> float:
    """Return the processor time of this process for one order, in microseconds: the best of three."""
    times = TIMES // orders
    for _ in range(max(1, times // 10)):
        work()
    best = float("inf")
    for _ in range(3):
        began = time.process_time()
        for _ in range(times):
            work()
        best = min(best, (time.process_time() - began) / (times * orders) * 1e6)
    return round(best, 1)


def placed() -> Message:
    """Return the event of a new order."""
    return order_placed(Order.place(user_id="u1", items=ITEMS, request_id="r1"))


def _messages() -> Parts:
    message = placed()
    body = message.encode()
    return {
        "message: made, with its id": (placed, 1),
        "message: encoded": (message.encode, 1),
        "message: read and checked": (lambda: read(body, ORDER_PLACED), 1),
    }


def _storage(folder: str) -> Parts:
    orders = Database(f"sqlite:///{folder}/orders.db", order_book.metadata)
    shelf = Database(f"sqlite:///{folder}/inventory.db", stock.metadata)
    sent = Database(f"sqlite:///{folder}/notification.db", notices.metadata)
    with shelf.transaction() as tx:
        stock.fill(tx, "100000000")

    def place() -> Order:
        order = Order.place(user_id="u1", items=ITEMS, request_id="r1")
        with orders.transaction() as tx:
            order_book.place(tx, order, key=None)
            order_service.outbox.add(tx, order_placed(order))
        return order

    def relay() -> None:
        with orders.transaction() as tx:
            rows = order_service.outbox.oldest(tx, BATCH)
        with orders.transaction() as tx:
            order_service.outbox.remove(tx, [row[0] for row in rows])

    def follow() -> None:
        known = list(itertools.islice(waiting, BATCH))
        events = [event(kind, o, {"user_id": "u1"}) for kind in (INVENTORY_RESERVED, NOTIFICATION_SENT) for o in known]
        for some in (events[:BATCH], events[BATCH:]):
            with orders.transaction() as tx:
                order_service.follow(tx, [Task(message) for message in some])

    def reserve() -> None:
        with shelf.transaction() as tx:
            inventory.reserve(tx, [Task(placed()) for _ in range(BATCH)])

    def notify() -> None:
        told = [event(INVENTORY_RESERVED, placed().order_id, {"user_id": "u1", "items": ITEMS}) for _ in range(BATCH)]
        with sent.transaction() as tx:
            notification.notify(tx, [Task(message) for message in told])

    waiting = (place().order_id for _ in itertools.count())
    return {
        "order: placed, with its outbox row (1 commit)": (place, 1),
        f"order: {BATCH} taken from the outbox and removed (2 commits)": (relay, BATCH),
        f"order: {BATCH} placed, and followed to reserved and notified": (follow, BATCH),
        f"inventory: {BATCH} made up and reserved, with inbox rows (1 commit)": (reserve, BATCH),
        f"notification: {BATCH} made up and notified, with inbox rows (1 commit)": (notify, BATCH),
    }


def _web(folder: str) -> Parts:
    alone = app_alone.create_app()
    service = order_service.create_app({"DATABASE_URL": f"sqlite:///{folder}/app.db"})
    logging.getLogger("campus").handlers[0].setStream(open(os.devnull, "w"))  # noqa: SIM115 - until the end
    form = {"user_id": "u1", "items": ITEMS}
    return {
        "request rules: an order's body": (lambda: read_order(form), 1),
        "web: POST /order, the app alone": (_request(alone), 1),
        "web and storage: POST /order as a whole": (_request(service), 1),
    }


def _request(app: Flask) -> Callable[[], Any]:
    body = json.dumps({"user_id": "u1", "items": ITEMS}).encode()

    def call() -> None:
        environ = {
            "REQUEST_METHOD": "POST",
            "PATH_INFO": "/order",
            "QUERY_STRING": "",
            "SERVER_NAME": "x",
            "SERVER_PORT": "80",
            "SERVER_PROTOCOL": "HTTP/1.1",
            "CONTENT_TYPE": "application/json",
            "CONTENT_LENGTH": str(len(body)),
            "wsgi.url_scheme": "http",
            "wsgi.input": io.BytesIO(body),
        }
        b"".join(app(environ, lambda *_: None))

    return call


def _broker(url: str) -> Parts:
    """Publish to a queue that nobody reads: a dead-letter queue, which the benchmark's end throws away."""
    publisher = Publisher(url, "cost")
    publisher.start()
    deadline = time.monotonic() + 10
    while time.monotonic() < deadline:
        try:
            publisher.check()
            break
        except ConnectionError:
            time.sleep(0.05)
    message = placed()

    def publish(count: int) -> None:
        to = Outgoing("", "order-status.dlq", message.encode(), message.event_id)
        assert publisher.publish([to] * count, timeout=10) == [None] * count

    return {
        "broker: 1 published and confirmed": (lambda: publish(1), 1),
        f"broker: {BATCH} published and confirmed together": (lambda: publish(BATCH), BATCH),
    }


if __name__ == "__main__":
    main(*sys.argv[1:])
