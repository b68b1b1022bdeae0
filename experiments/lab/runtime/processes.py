"""Processes by id *and* start time, so that a later process with the same id is never taken for an earlier one."""

import contextlib
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import psutil


@dataclass(frozen=True)
class Seen:
    """A service at a moment: `running`, `paused` or `exited`, and its process, or its container."""

    state: str
    process: str = ""


@dataclass(frozen=True)
class Record:
    """A process that was started here as the leader of its own group."""

    pid: int
    born: float

    def process(self) -> psutil.Process | None:
        """Return the very process, or None when it is gone."""
        try:
            process = psutil.Process(self.pid)
            alive = abs(process.create_time() - self.born) < 1.0 and process.status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return None
        return process if alive else None

    def state(self) -> str:
        """Return `running`, `paused` or `exited`."""
        with contextlib.suppress(psutil.NoSuchProcess):  # it may end while we look
            if process := self.process():
                return "paused" if process.status() == psutil.STATUS_STOPPED else "running"
        return "exited"

    def signal_group(self, number: signal.Signals) -> None:
        """Send a signal to the process and all it started; do nothing if it is gone."""
        if self.process() is not None:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(self.pid, number)

    def stop(self, seconds: float = 12.0) -> bool:
        """Ask the process to end, and kill its group if it does not; return whether it ended by itself."""
        if (process := self.process()) is None:
            return True
        self.signal_group(signal.SIGCONT)  # a paused process cannot obey
        with contextlib.suppress(psutil.NoSuchProcess):
            process.terminate()
        if _ended(process, seconds):
            return True
        self.signal_group(signal.SIGKILL)
        _ended(process, 5)
        return False


def start(command: Sequence[str], *, folder: Path, env: Mapping[str, str], log: Path) -> Record:
    """Start a process in a group of its own, its output appended to `log`."""
    log.parent.mkdir(parents=True, exist_ok=True)
    with log.open("ab") as out:
        child = subprocess.Popen(
            command,
            cwd=folder,
            env=dict(env),
            stdin=subprocess.DEVNULL,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    return record_of(child.pid)


def start_recorded(command: Sequence[str], record: Path, *, folder: Path, env: Mapping[str, str], log: Path) -> None:
    """Start a process in a group of its own and record it in a file; one that cannot be recorded is ended again."""
    with uninterrupted():
        started = start(command, folder=folder, env=env, log=log)
        try:
            save(started, record)
        except OSError:  # the disk is full: no command would find it
            started.stop()
            record.unlink(missing_ok=True)
            raise


@contextlib.contextmanager
def uninterrupted() -> Iterator[None]:
    """Hold Ctrl-C back until the end of the block: a process that was started and not yet recorded would be lost."""
    if threading.current_thread() is not threading.main_thread():  # it reaches the main thread only
        yield
        return
    came: list[int] = []
    usual = signal.signal(signal.SIGINT, lambda number, _: came.append(number))
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, usual)
        if came:
            signal.raise_signal(signal.SIGINT)


def record_of(pid: int) -> Record:
    """Return the record of a living process; one that is gone already gets a record that says so."""
    try:
        return Record(pid, psutil.Process(pid).create_time())
    except psutil.NoSuchProcess:
        return Record(pid, 0.0)


def save(record: Record, path: Path) -> None:
    """Write a record to a file."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(asdict(record)))


def load(path: Path) -> Record | None:
    """Read a record, or None when there is none that can be read."""
    try:
        return Record(**json.loads(path.read_text()))
    except (OSError, ValueError, TypeError):
        return None


def listener(port: int) -> str | None:
    """Say which process listens on a port of this machine, or None."""
    with contextlib.suppress(psutil.AccessDenied, psutil.NoSuchProcess):  # it may end while we look
        for connection in psutil.net_connections("tcp"):
            if connection.status == psutil.CONN_LISTEN and connection.laddr.port == port:
                pid = connection.pid
                return f"process {pid} ({psutil.Process(pid).name()})" if pid else "another user's process"
    return None


def _ended(process: psutil.Process, seconds: float) -> bool:
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        try:
            if process.status() == psutil.STATUS_ZOMBIE or process.wait(0.05) is not None:
                return True
        except psutil.NoSuchProcess:
            return True
        except psutil.TimeoutExpired:
            continue
    return False
