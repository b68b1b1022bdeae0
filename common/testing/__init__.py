"""What the tests of every part share: a service as a real process, and waiting by retrying. No service uses it."""

import contextlib
import os
import random
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import urllib3
from campus.lifecycle import Part
from campus.loop import Loop

MARGIN = 4.0  # what a busy machine may add to a time that is promised
_GIVEN: set[int] = set()  # the ports that were given out


def wait_until(
    true: Callable[[], Any], seconds: float = 30.0, *, what: str = "", alive: "Process | None" = None
) -> Any:
    """Retry until `true()` is true and return what it gave.

    The failure names `what` was waited for. When the process `alive` is gone, it comes at once and quotes its log.
    """
    what, end = what or getattr(true, "__qualname__", repr(true)), time.monotonic() + seconds
    while True:
        assert alive is None or alive.runs, (
            f"waiting for {what}: {alive.name} ended; its last lines:\n{alive.last_lines()}"
        )
        if value := true():
            return value
        if time.monotonic() > end:
            said = f"; the last lines of {alive.name}:\n{alive.last_lines()}" if alive else ""
            raise AssertionError(f"not in {seconds:g} s: {what} (last: {value!r}){said}")
        time.sleep(0.02)


def loops(part: Part) -> dict[str, Loop]:
    """Return the loops of a part and of its parts, by their names."""
    if isinstance(part, Loop):
        return {part.name: part}
    return {name: loop for each in getattr(part, "parts", ()) for name, loop in loops(each).items()}


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


class Process:
    """A process in a group of its own, its output in a file; it may be killed and started again."""

    def __init__(self, name: str, port: int, log: Path) -> None:
        self.name, self.port, self._log = name, port, log
        self.process: subprocess.Popen | None = None

    def run(self, command: Sequence[str | Path], *, folder: Path, env: dict[str, str]) -> None:
        """Start it, with these variables and those of this process."""
        with self._log.open("a") as log:
            self.process = subprocess.Popen(
                command,
                cwd=folder,
                env=os.environ | env,
                stdin=subprocess.DEVNULL,
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
        return self._log.read_text(errors="replace")

    def last_lines(self) -> str:
        """Return the last lines of its log."""
        return "\n".join(self.log().splitlines()[-20:])

    def kill(self) -> None:
        """Kill the whole process group at once, and wait until its port is free."""
        if self.process is not None and self.runs:
            os.killpg(self.process.pid, signal.SIGKILL)
            self.process.wait(10)
            wait_until(self._port_is_free, what=f"port {self.port} of {self.name} is free")

    def stop(self) -> None:
        """Stop it in good order."""
        if self.process is not None and self.runs:
            self.process.send_signal(signal.SIGTERM)
            self.process.wait(60)

    def _port_is_free(self) -> bool:
        with socket.socket() as probe:
            return probe.connect_ex(("127.0.0.1", self.port)) != 0


class Service(Process):
    """One service of a part under gunicorn."""

    def __init__(self, part: Path, name: str, folder: Path, *, package: str | None = None, **env: str) -> None:
        super().__init__(name, free_port(), folder / f"{name}.log")
        self.folder = folder
        self._package = package or f"{name}_service"
        self.url = f"http://127.0.0.1:{self.port}"
        self.env = {"PORT": str(self.port), "DATABASE_URL": f"sqlite:///{folder}/{name}.db", **env}
        self._part = part
        self._http = urllib3.PoolManager(retries=False, timeout=30.0, maxsize=16)

    def start(self, **env: str) -> None:
        """Start the service; wait for it with `ready`."""
        command = [sys.executable, "-m", "gunicorn", "-c", "python:campus.gunicorn_conf"]
        paths = os.pathsep.join([str(self._part), str(self._part.parent / "common")])
        env = {"PYTHONPATH": paths, "CONFIGURE_TOKEN": ""} | self.env | env
        self.run([*command, f"{self._package}.app:create_app()"], folder=self.folder, env=env)

    def ready(self) -> bool:
        """Whether it says that it can work. Fails when its process is gone."""
        assert self.runs, f"{self.name} ended; its last lines:\n{self.last_lines()}"
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            return self.call("GET", "/ready").status == 200
        return False

    def call(self, method: str, path: str, body: Any = None, **headers: str) -> urllib3.BaseHTTPResponse:
        """Send a request, and return what it answers."""
        return self._http.request(method, self.url + path, json=body, headers=headers)

    def configure(self, **faults: Any) -> None:
        """Inject these faults."""
        assert self.call("POST", "/configure", faults).status == 200
