"""The broker of a part, whichever it is: the modules `rabbitmq` and `kafka` offer the same functions."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

from lab.brokers import kafka, lag, rabbitmq
from lab.brokers.message import Letter
from lab.errors import LabError
from lab.services import Service


class Broker(Protocol):
    """What both modules offer; a queue is a topic in Kafka. Every function raises LabError for a broker in trouble."""

    NAME: str
    WORK: tuple[str, ...]  # the queues that are worked off
    PLACED: str  # the one with the orders
    RESERVED: str  # the one with what was reserved
    COUNTED: tuple[str, tuple[str, ...]]  # by what `messages_total` counts the messages that are done: label, values

    def dead_letters(self, queue: str) -> str: ...
    def channel(self, service: Service) -> AbstractContextManager[Any]: ...
    def publish(self, on: Any, queue: str, letters: Sequence[Letter]) -> list[str | None]: ...
    def letters(self, service: Service, queues: Sequence[str]) -> list[tuple[str, Letter]]: ...
    def send_back(self, service: Service, queue: str) -> int: ...
    def empty(self, service: Service) -> None: ...


_MODULES = {module.NAME: cast(Broker, module) for module in (rabbitmq, kafka)}


def speaker(service: Service) -> Broker:
    """Return the module that speaks to a broker."""
    return _MODULES[service.name]


def waiting(service: Service) -> int:
    """Return how many messages a broker's consumers have still to deal with. Raises LabError."""
    return {rabbitmq.NAME: rabbitmq.waiting, kafka.NAME: lag.waiting}[service.name](service)


def broker_of(services: Mapping[str, Service]) -> Service | None:
    """Return the broker among the services of a part, or None where there is none."""
    return next((services[name] for name in _MODULES if name in services), None)


def emptied(service: Service) -> bool:
    """Delete everything that a broker holds, if it can be asked to; return whether it is empty now."""
    try:
        speaker(service).empty(service)
    except LabError:
        return False
    return True
