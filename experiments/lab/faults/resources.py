"""Takes from a service what it needs, and gives it back: the right to write its database, and room on its disk.

Both need processes and files of this machine: with Docker, on PostgreSQL or without Linux they are refused.
"""

import functools
import resource
import sqlite3
from collections.abc import Callable

import psutil

from lab.errors import LabError
from lab.runtime import lifecycle
from lab.runtime.local import LocalRuntime
from lab.services import Service

GiveBack = Callable[[], None]  # raises LabError when it cannot be given back

LOCK_SECONDS = 10.0  # a busy service leaves its database alone often enough


def lock_database(service: Service) -> GiveBack:
    """Lock a service's SQLite file against writing. Raises LabError."""
    url = _here().environment(service).get("DATABASE_URL", "")
    if not url.startswith("sqlite:///"):
        raise LabError(f"the database of {service.name} is no SQLite file")
    try:
        # mode=rw: a file that is not there must not be made.
        path = f"file:{url.removeprefix('sqlite:///')}?mode=rw"
        held = sqlite3.connect(path, uri=True, timeout=LOCK_SECONDS, isolation_level=None)
        held.execute("BEGIN EXCLUSIVE")
    except sqlite3.Error as error:
        raise LabError(f"the database of {service.name} cannot be locked: {error}") from None
    return held.close


def fill_disk(service: Service) -> GiveBack:
    """Let no file of a service grow any more: each write fails as on a full disk. Raises LabError."""
    _limit_files(service, 0)
    return functools.partial(_limit_files, service, None)


def _limit_files(service: Service, size: int | None) -> None:
    """Limit how large a file the service's processes may write; `None` is as large as they ever might."""
    pid = _here().pid(service)
    if pid is None:
        raise LabError(f"{service.name} does not run", f"./lab start {service.part}/{service.name}")
    try:
        family = [psutil.Process(pid)]
        for process in family:
            _, most = process.rlimit(resource.RLIMIT_FSIZE)
            process.rlimit(resource.RLIMIT_FSIZE, (most if size is None else size, most))
            family += process.children()  # after it was limited: those that are still to come inherit it
    except AttributeError:
        raise LabError("a full disk can be simulated on Linux only") from None
    except psutil.Error as error:
        raise LabError(f"the disk of {service.name} cannot be made full: {error}") from None


def _here() -> LocalRuntime:
    chosen = lifecycle.choose()
    if not isinstance(chosen, LocalRuntime):
        raise LabError("this fault needs local processes", "LAB_RUNTIME=local …")
    return chosen


DATABASE, DISK = "its database", "room on its disk"
TAKING: dict[str, Callable[[Service], GiveBack]] = {DATABASE: lock_database, DISK: fill_disk}
