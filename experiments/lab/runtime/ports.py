"""Whether the ports of a service are free, and what to do when one is not."""

import contextlib
import socket
from collections.abc import Container
from dataclasses import replace
from itertools import islice

from lab.compose import Size, replicas, size_of
from lab.errors import LabError
from lab.paths import PARTS
from lab.runtime import processes
from lab.services import Service, variables

ADDED = range(8100, 8200)  # for replicas, and for what a benchmark runs beside a part


def check_free(service: Service, most: int | None = None) -> None:
    """Raise LabError, with its owner and how to choose another, when one of a service's `most` first ports is taken."""
    for variable, port in islice(service.ports.items(), most):
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind(("127.0.0.1", port))
            except PermissionError:
                hint = f"choose one from 1024 on: {variable}={free()} ./lab up {service.part}"
                raise LabError(f"port {port} of {service.name} is for root only", hint) from None
            except OSError:
                owner = processes.listener(port) or "another process"
                hint = f"stop it, or choose another port: {variable}={free()} ./lab up {service.part}"
                raise LabError(f"port {port} of {service.name} is taken by {owner}", hint) from None


def with_ports(part: str, size: Size) -> Size:
    """Return the size with a port for each replica: one that the environment names, or it had, or a free one."""
    had, env = size_of(part).ports, variables(part)
    taken = {port for other in PARTS for port in size_of(other).ports.values()}
    chosen: dict[str, int] = {}
    for name in (name for kind, count in size.replicas.items() for name in replicas(kind, count)):
        told = env.get(f"{'ABC'[PARTS.index(part)]}_{name.upper().replace('.', '_')}_PORT")
        chosen[name] = int(told) if told else had.get(name) or free(taken)
        taken.add(chosen[name])
    return replace(size, ports=chosen)


def free(taken: Container[int] = ()) -> int:
    """Return a port on which nothing listens, and which is not `taken`. Raises LabError when there is none."""
    for port in ADDED:
        with contextlib.suppress(OSError), socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            if port not in taken:
                probe.bind(("127.0.0.1", port))
                return port
    raise LabError(f"no port from {ADDED[0]} to {ADDED[-1]} is free", "./lab status")
