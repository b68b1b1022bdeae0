"""A SQLite file belongs to one process: a second one that worked on it would sell what the first has sold."""

import contextlib
import fcntl
import logging
import os
import threading
import time

log = logging.getLogger("campus")

# A process that was told to stop still finishes its requests and its loops: a reload must not be refused for that.
LEAVING_SECONDS = 20.0

_guard = threading.Lock()
_held: dict[str, tuple[int, int]] = {}  # path → descriptor of the lock, and how many use it in this process


class InUse(SystemExit):
    """Ends this process. With exit status 3, gunicorn's master ends too, instead of starting it again and again."""


def hold(path: str) -> None:
    """Take the file for this process, until it has let go as often. Raises InUse when another process has it."""
    with _guard:
        descriptor, users = _held.get(os.path.realpath(path), (-1, 0))
        _held[os.path.realpath(path)] = (descriptor if users else _lock(path), users + 1)


def let_go(path: str) -> None:
    """Let others have the file."""
    with _guard:
        descriptor, users = _held.pop(os.path.realpath(path), (-1, 0))
        if users > 1:
            _held[os.path.realpath(path)] = (descriptor, users - 1)
        elif users:
            os.close(descriptor)


def _lock(path: str) -> int:
    descriptor = os.open(f"{path}.lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    deadline, said = time.monotonic() + LEAVING_SECONDS, False
    while True:
        with contextlib.suppress(BlockingIOError):
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)  # the system lets go of it when the process dies
            return descriptor
        if time.monotonic() > deadline:
            os.close(descriptor)
            log.error(
                "%s is in use by another process, and SQLite is for one: to run several, give all of them the same "
                "PostgreSQL in DATABASE_URL (postgresql://…)",
                path,
            )
            raise InUse(3)
        if not said:
            log.warning("waiting for the process that uses %s to end", path)
            said = True
        time.sleep(0.1)
