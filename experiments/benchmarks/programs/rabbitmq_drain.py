"""Two bare baselines for draining a backlog, with pika alone: acknowledge only; republish, confirmed, and acknowledge.

Usage: python -m benchmarks.programs.rabbitmq_drain ack|republish URL COUNT        prints {"orders": …, "seconds": …}
The queues are like the services' (quorum, durable, persistent messages), and hold messages of the same size.
"""

import json
import sys
import time

import pika
from campus import gunicorn_conf
from campus.events import ORDER_PLACED, new_event
from campus.orders import Order
from pika.adapters.select_connection import SelectConnection

SOURCE, TARGET = "bench-source", "bench-target"
PREFETCH = 500
PERSISTENT = pika.BasicProperties(content_type="application/json", delivery_mode=2)


class Drain:
    """Fills the source queue, confirmed, and then drains it; the clock runs from the first delivery on."""

    def __init__(self, kind: str, url: str, count: int) -> None:
        self._republishes, self._count, self._filling = kind == "republish", count, True
        self._published = self.acked = 0
        self._tags: dict[int, int] = {}  # of a published message → of the message that it answers
        self.began = self.ended = 0.0
        self.connection = SelectConnection(pika.URLParameters(url), self._open, on_close_callback=_stop)

    def _open(self, connection: SelectConnection) -> None:
        connection.channel(on_open_callback=self._declare)

    def _declare(self, channel) -> None:
        self._channel = channel
        for queue in (SOURCE, TARGET):
            channel.queue_delete(queue)
            channel.queue_declare(queue, durable=True, arguments={"x-queue-type": "quorum"})
        channel.confirm_delivery(self._confirmed, callback=self._fill)

    def _fill(self, _frame) -> None:
        order = Order.place(user_id="bench", items=[{"sku": "burger", "qty": 1}], request_id="0" * 36)
        body = new_event(ORDER_PLACED, order.order_id, {"user_id": order.user_id, "items": order.items}).encode()
        for _ in range(self._count):
            self._publish(SOURCE, body)

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
        for sent in [sent for sent in self._tags if sent <= tag] if frame.method.multiple else [tag]:
            self._ack(self._tags.pop(sent))

    def _take(self, _channel, method, _properties, body: bytes) -> None:
        self.began = self.began or time.monotonic()
        if not self._republishes:
            self._ack(method.delivery_tag)
            return
        self._publish(TARGET, body)
        self._tags[self._published] = method.delivery_tag

    def _ack(self, tag: int) -> None:
        self._channel.basic_ack(tag)
        self.acked += 1
        if self.acked == self._count:
            self.ended = time.monotonic()
            for queue in (SOURCE, TARGET):
                self._channel.queue_delete(queue)
            self.connection.close()


def _stop(connection: SelectConnection, _reason: Exception) -> None:
    connection.ioloop.stop()


if __name__ == "__main__":
    gunicorn_conf.take_core()  # on the same core as the service's worker
    drain = Drain(sys.argv[1], sys.argv[2], int(sys.argv[3]))
    drain.connection.ioloop.start()
    print(json.dumps({"orders": drain.acked, "seconds": drain.ended - drain.began}))
