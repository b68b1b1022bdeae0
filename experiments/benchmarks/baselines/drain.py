"""Two floors for working off a backlog, with pika and nothing else: take and acknowledge; take, republish, acknowledge.

Usage: python -m benchmarks.baselines.drain URL ack|republish COUNT        prints {"orders": …, "seconds": …}
The queues are of the services' kind (quorum, durable, persistent messages), and hold messages of the same size.
"""

import json
import os
import sys
import time

import pika
from campus.messages import ORDER_PLACED, event
from campus.orders import Order
from pika import BasicProperties
from pika.adapters.select_connection import SelectConnection

SOURCE, TARGET = "bench-source", "bench-target"
PREFETCH = 500
QUEUE = {"durable": True, "arguments": {"x-queue-type": "quorum"}}
PERSISTENT = BasicProperties(content_type="application/json", delivery_mode=2)


class Floor:
    """Fills the source queue, confirmed, and then works it off; the clock runs from the first delivery on."""

    def __init__(self, url: str, republishes: bool, count: int) -> None:
        self._republishes, self._count = republishes, count
        self._began = 0.0
        self._settled = 0
        self._filling = True
        self._tags: dict[int, int] = {}  # what was published → what it answers
        self._published = 0
        self.seconds = 0.0
        self.connection = SelectConnection(
            pika.URLParameters(url), on_open_callback=self._open, on_close_callback=_stop
        )

    def _open(self, connection: SelectConnection) -> None:
        connection.channel(on_open_callback=self._declare)

    def _declare(self, channel) -> None:
        self._channel = channel
        for queue in (SOURCE, TARGET):
            channel.queue_delete(queue)
            channel.queue_declare(queue, **QUEUE)
        channel.confirm_delivery(self._confirmed, callback=self._fill)

    def _fill(self, _frame) -> None:
        order = Order.place(user_id="bench", items=[{"sku": "burger", "qty": 1}], request_id="0" * 36)
        placed = event(ORDER_PLACED, order.order_id, {"user_id": order.user_id, "items": order.items})
        for _ in range(self._count):
            self._publish(SOURCE, placed.encode())

    def _publish(self, queue: str, body: bytes) -> None:
        self._published += 1
        self._channel.basic_publish("", queue, body, PERSISTENT, mandatory=True)

    def _confirmed(self, frame) -> None:
        tag = frame.method.delivery_tag
        if self._filling:
            if tag == self._count:
                self._filling = False
                self._channel.basic_qos(prefetch_count=PREFETCH)
                self._channel.basic_consume(SOURCE, self._take)
            return
        done = [sent for sent in self._tags if sent <= tag] if frame.method.multiple else [tag]
        for sent in done:
            self._ack(self._tags.pop(sent))

    def _take(self, channel, method, _properties, body: bytes) -> None:
        self._began = self._began or time.monotonic()
        if not self._republishes:
            self._ack(method.delivery_tag)
            return
        self._publish(TARGET, body)
        self._tags[self._published] = method.delivery_tag

    def _ack(self, tag: int) -> None:
        self._channel.basic_ack(tag)
        self._settled += 1
        if self._settled == self._count:
            self.seconds = time.monotonic() - self._began
            for queue in (SOURCE, TARGET):
                self._channel.queue_delete(queue)
            self.connection.close()


def _stop(connection: SelectConnection, _reason: Exception) -> None:
    connection.ioloop.stop()


def main(url: str, kind: str, count: str) -> None:
    """Work off a backlog of `count` and print how long it took."""
    if os.environ.get("PIN_CPU"):
        allowed = sorted(os.sched_getaffinity(0))
        os.sched_setaffinity(0, {allowed[int(os.environ["PIN_CPU"]) % len(allowed)]})
    floor = Floor(url, kind == "republish", int(count))
    floor.connection.ioloop.start()
    print(json.dumps({"orders": floor._settled, "seconds": floor.seconds}))


if __name__ == "__main__":
    main(*sys.argv[1:])
