"""Whether the port of a service is free, and what to do when it is not."""

import socket

from lab.errors import LabError
from lab.paths import PARTS
from lab.runtime import processes
from lab.services import Service


def check_free(service: Service) -> None:
    """Raise LabError, with who has it and how to choose another, when the service's port is taken."""
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", service.port))
        except OSError:
            owner = processes.listener(service.port) or "another process"
            variable = f"{'ABC'[PARTS.index(service.part)]}_{service.name.upper()}_PORT"
            hint = f"stop it, or choose another port: {variable}={service.port + 100} ./lab up {service.part}"
            raise LabError(f"port {service.port} of {service.name} is taken by {owner}", hint) from None
