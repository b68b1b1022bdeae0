"""Whether the ports of a service are free, and what to do when one is not."""

import socket

from lab.errors import LabError
from lab.runtime import processes
from lab.services import Service


def check_free(service: Service) -> None:
    """Raise LabError, with who has it and how to choose another, when the service's own port is taken."""
    variable, port = next(iter(service.ports.items()))
    _check(service, variable, port)


def check_all_free(service: Service) -> None:
    """Raise LabError likewise for every port on which it listens: Kafka has three."""
    for variable, port in service.ports.items():
        _check(service, variable, port)


def _check(service: Service, variable: str, port: int) -> None:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind(("127.0.0.1", port))
        except PermissionError:
            hint = f"choose one from 1024 on: {variable}={service.port + 8000} ./lab up {service.part}"
            raise LabError(f"port {port} of {service.name} is for root only", hint) from None
        except OSError:
            owner = processes.listener(port) or "another process"
            other = port + 100 if port < 65000 else port - 100
            hint = f"stop it, or choose another port: {variable}={other} ./lab up {service.part}"
            raise LabError(f"port {port} of {service.name} is taken by {owner}", hint) from None
