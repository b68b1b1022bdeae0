"""How many messages wait in each queue of RabbitMQ, over a connection that is kept."""

import contextlib
from typing import Any

from lab.brokers import rabbitmq
from lab.errors import LabError
from lab.services import Service


class Queues:
    """The queues of one broker, over a connection that is made anew whenever it is lost."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._channel: Any = None

    def depths(self) -> list[tuple[str, int]]:
        """Return `(queue, messages ready)` of each queue; nothing while the broker cannot be asked."""
        try:
            with rabbitmq.in_plain_words(self._service):
                if self._channel is None:
                    self._channel = rabbitmq.connect(self._service).channel()
                return [(queue, rabbitmq.ready(self._channel, queue)) for queue in rabbitmq.ALL]
        except LabError:
            lost, self._channel = self._channel, None
            with contextlib.suppress(LabError), rabbitmq.in_plain_words(self._service):
                if lost is not None:
                    lost.connection.close()
            return []
