"""Which parts can be simulated, and how each is made."""

import sys
from importlib import import_module

from lab.errors import LabError
from lab.paths import ROOT
from lab.simulation.part import SimulatedPart

# Part → module and class. The module is imported only for its own part: parts share the names of packages.
_MAKERS = {
    "sync-rest": ("lab.simulation.rest.part", "RestPart"),
    "async-rabbitmq": ("lab.simulation.rabbitmq.part", "RabbitMQPart"),
    "streaming-kafka": ("lab.simulation.kafka.part", "KafkaPart"),
}
NAMES = tuple(_MAKERS)


def make(name: str) -> SimulatedPart:
    """Return the transport of a part. Raises LabError for a part that is not simulated."""
    if name not in _MAKERS:
        raise LabError(f"{name} cannot be explored", f"there are: {', '.join(NAMES)}")
    module, made = _MAKERS[name]
    for folder in ("common", name):
        if str(ROOT / folder) not in sys.path:
            sys.path.insert(0, str(ROOT / folder))
    return getattr(import_module(module), made)()
