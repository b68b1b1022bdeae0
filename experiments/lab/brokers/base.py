"""The broker of a part, whichever it is: the modules `rabbitmq` and `kafka` offer the same names.

A queue is a topic in Kafka. WORK are the queues that consumers read, PLACED the one with the orders, RESERVED the one
with what was reserved; COUNTED is by which label, with which values, `messages_total` counts the messages that are
done. Every function raises LabError for a broker in trouble.
"""

from collections.abc import Mapping
from types import ModuleType

from lab.brokers import kafka, lag, rabbitmq
from lab.errors import LabError
from lab.services import Service, by_kind

_MODULES: dict[str, ModuleType] = {module.NAME: module for module in (rabbitmq, kafka)}


def client_for(service: Service) -> ModuleType:
    """Return the module that speaks to a broker."""
    return _MODULES[service.kind]


def waiting(service: Service) -> int:
    """Return how many messages a broker's consumers have still to deal with. Raises LabError."""
    return {rabbitmq.NAME: rabbitmq.waiting, kafka.NAME: lag.waiting}[service.kind](service)


def broker_of(services: Mapping[str, Service]) -> Service | None:
    """Return the broker among the services of a part, with all its nodes, or None where there is none."""
    kinds = by_kind(services)
    return next((kinds[name] for name in _MODULES if name in kinds), None)


def emptied(service: Service) -> bool:
    """Delete everything that a broker holds, if it can be asked to; return whether it is empty now."""
    if service.kind not in _MODULES or service.name != service.kind:  # a cluster is started anew
        return False
    try:
        client_for(service).empty(service)
    except LabError:
        return False
    return True
