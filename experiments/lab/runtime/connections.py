"""The TCP connections that services hold, as the system shows them: of local processes, and of containers.

`of(service)` yields `(own end, other end)` of each connection that is established now; an end is `(address, port)`.
"""

import contextlib
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from typing import Any

import psutil

from lab.services import Service

Ends = tuple[Any, Any]
AGAIN_SECONDS = 2.0  # between two tries to watch a container

# Runs in a container: writes each connection once, when it sees it; ends with its input.
WATCHER = """
import select, sys
seen = set()
while not select.select([sys.stdin], [], [], 0.2)[0]:
    now = set()
    for file in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = [line.split() for line in open(file)][1:]
        except OSError:
            continue
        now |= {(row[1], row[2]) for row in rows if row[3] == "01"}
    for own, other in now - seen:
        print(own, other, flush=True)
    seen = now
"""


class LocalConnections:
    """The connections of the processes of this machine."""

    def __init__(self, pid_of: Callable[[Service], int | None]) -> None:
        self._pid_of = pid_of
        self._processes: dict[str, list[psutil.Process]] = {}

    def of(self, service: Service) -> Iterator[Ends]:
        """Yield the connections of the service."""
        for process in self._of(service):
            with contextlib.suppress(psutil.Error):  # it may end while we look
                for connection in process.net_connections("tcp"):
                    if connection.raddr and connection.status == psutil.CONN_ESTABLISHED:
                        yield tuple(connection.laddr), tuple(connection.raddr)

    def _of(self, service: Service) -> list[psutil.Process]:
        """Return the processes of a service, looked up again when one of them is gone."""
        known = self._processes.get(service.name, [])
        pid = self._pid_of(service)
        if len(known) < 2 or known[0].pid != pid or not all(process.is_running() for process in known):
            known = []
            with contextlib.suppress(psutil.Error):
                known = [psutil.Process(pid), *psutil.Process(pid).children(recursive=True)] if pid else []
            self._processes[service.name] = known
        return known


class ContainerConnections:
    """The connections of containers: a program in each of them watches, as their processes are not this machine's."""

    def __init__(self, container_of: Callable[[Service], str]) -> None:
        self._container_of = container_of
        self._watchers: dict[str, tuple[subprocess.Popen[str], float]] = {}  # and when each began
        self._seen: dict[str, list[Ends]] = {}

    def of(self, service: Service) -> Iterator[Ends]:
        """Yield the connections of the service that were not yielded before."""
        found = self._seen.setdefault(service.name, [])
        watcher, began = self._watchers.get(service.name, (None, 0.0))
        ended = watcher is None or watcher.poll() is not None  # there was none, or the container was stopped
        if ended and time.monotonic() >= began + AGAIN_SECONDS:
            command = ["docker", "exec", "-i", self._container_of(service), "python", "-S", "-c", WATCHER]
            pipe, quiet = subprocess.PIPE, subprocess.DEVNULL
            child = subprocess.Popen(command, stdin=pipe, stdout=pipe, stderr=quiet, text=True)
            self._watchers[service.name] = child, time.monotonic()

            def read() -> None:
                for line in child.stdout or ():  # two ends, as the system's table has them: `0100007F:1F40`
                    ends = (text.partition(":") for text in line.split())
                    own, other = ((address, int(port, 16)) for address, _, port in ends)
                    found.append((own, other))

            threading.Thread(target=read, daemon=True).start()
        while found:
            yield found.pop(0)
