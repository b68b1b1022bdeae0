"""What an order costs in messages and connections, counted during a run that asks for it (`traffic` in its head).

Messages are counted where they are received: an HTTP request by the service that answers it, a message of RabbitMQ or
a record of Kafka by each consumer that deals with it, once for each time. `{"type": "messages", "service": …,
"received": {…}}` is noted before a process is ended and at the end of the run; the notes of all processes add up.

Connections are those that a service opens to another service or to the broker, seen by the system five times a second.
`{"type": "connection", "service": …, "to": …}` is noted when one is seen for the first time.
"""

from collections import Counter
from collections.abc import Iterator, Mapping
from typing import Any

from lab import client
from lab.history.recorder import RunRecorder
from lab.runtime import lifecycle
from lab.services import Service

Line = dict[str, Any]
METRICS = ("http_requests_total", "messages_total")
BETWEEN_SERVICES = ("reserve", "release", "reservation", "send")  # not what clients and the laboratory ask for


def note_received(recorder: RunRecorder, service: Service) -> None:
    """Note how many messages a service has received since it was started, if this run counts them."""
    if service.is_broker or not recorder.head.get("traffic"):
        return
    if (samples := client.metrics(service.url, timeout=0.5)) is None:
        return
    received: Counter[str] = Counter()
    for sample in samples:
        labels = sample.labels
        name = labels.get("endpoint") or labels.get("queue") or labels.get("group")
        if sample.name in METRICS and name and ("endpoint" not in labels or name in BETWEEN_SERVICES):
            received[name] += int(sample.value)
    recorder.record(type="messages", service=service.name, received=received)


class Connections:
    """The connections that the processes of a part's services hold to each other and to the broker."""

    def __init__(self, services: Mapping[str, Service]) -> None:
        self._connections = lifecycle.choose().connections()
        self._services = [service for service in services.values() if not service.is_broker]
        ports = ((service, key, port) for service in services.values() for key, port in service.environment.items())
        self._name_of = {int(port): service.name for service, key, port in ports if key.endswith("PORT")}
        self._seen: set[tuple[Any, Any, str]] = set()

    def lines(self) -> Iterator[Line]:
        """Yield a line for each connection that was not seen before."""
        for service in self._services:
            for own, other in self._connections.of(service):
                to, ends = self._name_of.get(other[1]), (own, other, service.name)
                if to and ends not in self._seen:
                    self._seen.add(ends)
                    yield {"type": "connection", "service": service.name, "to": to}
