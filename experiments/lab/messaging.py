"""The broker of a part, whichever it is: the modules `rabbit` and `kafka` offer the same functions."""

from collections.abc import Mapping, Sequence
from contextlib import AbstractContextManager
from typing import Any, Protocol, cast

from lab import compose, kafka, rabbit, runtime
from lab.compose import Service
from lab.letters import Letter
from lab.places import LabError


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
    def waiting(self, service: Service) -> int: ...
    def empty(self, service: Service) -> None: ...


_MODULES = {module.NAME: cast(Broker, module) for module in (rabbit, kafka)}


def speaker(service: Service) -> Broker:
    """Return the module that speaks to a broker."""
    return _MODULES[service.name]


def broker_of(services: Mapping[str, Service]) -> Service | None:
    """Return the broker among the services of a part, or None where there is none."""
    return next((services[name] for name in _MODULES if name in services), None)


def broker_up() -> Service:
    """Return the broker of the part that is up. Raises LabError when there is none, or more than one."""
    parts = {part: broker_of(compose.services(part)) for part in runtime.parts_up(runtime.choose())}
    found = [service for service in parts.values() if service is not None]
    if not found:
        raise LabError("no part with a broker is up", "./lab up async-rabbitmq, or ./lab up streaming-kafka")
    if len(found) > 1:
        raise LabError(f"{' and '.join(s.part for s in found)} are up", f"first: ./lab down {found[0].part}")
    return found[0]
