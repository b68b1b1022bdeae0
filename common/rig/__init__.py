"""What the tests of every part share: a service as a real process, and waiting by retrying. No service uses it."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import urllib3

MARGIN = 4.0  # what a busy machine may add to a time that is promised
_GIVEN: set[int] = set()  # the ports that were given out


def wait_until(true: Callable[[], Any], seconds: float = 30.0) -> Any:
    """Retry until `true()` is true and return what it gave."""
    end = time.monotonic() + seconds
    while not (value := true()):
        assert time.monotonic() < end, "it did not come true in time"
        time.sleep(0.02)
    return value


def free_port() -> int:
    """Return a port on which nothing listens, another each time, below those that the system gives to connections.

    The system draws it, as pytest-randomly gives all processes of a run the same seed.
    """
    while True:
        port = random.SystemRandom().randrange(12_000, 32_000)
        if port not in _GIVEN:
            with contextlib.suppress(OSError), socket.create_server(("127.0.0.1", port)):
                _GIVEN.add(port)
                return port


class Service:
    """One service of a part under gunicorn, in a process group of its own."""

    def __init__(self, part: Path, name: str, folder: Path, *, package: str | None = None, **env: str) -> None:
        self.name, self.folder, self.port = name, folder, free_port()
        self._package = package or f"{name}_service"
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {"PORT": str(self.port), "DATABASE_URL": f"sqlite:///{folder}/{name}.db", **env}
        self.process: subprocess.Popen | None = None
        self._part = part
        self._http = urllib3.PoolManager(retries=False, timeout=30.0)

    def start(self, **env: str) -> None:
        """Start the service; wait for it with `ready`."""
        command = [sys.executable, "-m", "gunicorn", "-c", "python:campus.gunicorn_conf"]
        paths = os.pathsep.join([str(self._part), str(self._part.parent / "common")])
        with (self.folder / f"{self.name}.log").open("a") as log:
            self.process = subprocess.Popen(
                [*command, f"{self._package}.app:create_app()"],
                cwd=self.folder,
                env=os.environ | {"PYTHONPATH": paths, "CONFIGURE_TOKEN": ""} | self.env | env,
                stdout=log,
                stderr=log,
                start_new_session=True,
            )

    @property
    def runs(self) -> bool:
        """Whether its process is there."""
        return self.process is not None and self.process.poll() is None

    def log(self) -> str:
        """Return all that it has logged."""
        return (self.folder / f"{self.name}.log").read_text()

    def ready(self) -> bool:
        """Whether it says that it can work."""
        assert self.runs, self.log()[-2000:]
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            return self.call("GET", "/ready").status == 200
        return False

    def kill(self) -> None:
        """Kill the whole process group at once, and wait until its port is free."""
        if self.runs:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            wait_until(lambda: socket.socket().connect_ex(("127.0.0.1", self.port)) != 0)

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> urllib3.BaseHTTPResponse:
        """Send a request, and return what it answers."""
        return self._http.request(method, self.url + path, json=body, headers=headers)

    def configure(self, **faults: Any) -> None:
        """Inject these faults."""
        assert self.call("POST", "/configure", faults).status == 200
