"""Copies SQLite's write-ahead log into the database beside the requests, so that no request waits for the disk.

SQLite itself does that within the commit that makes the log 1,000 pages long. In Part A 1.4 % of the orders then waited
until the disk had synced three times: that was their p99.
"""

import contextlib
import sqlite3
import threading
import time
from pathlib import Path

SECONDS = 5.0  # between two checkpoints: after each one, one commit has to sync the log's new head
MAX_LOG_PAGES = 10_000  # 40 MB: a log of this length is checkpointed within a commit after all


class Checkpoints:
    """The checkpoints of one database file, each in a thread of its own."""

    def __init__(self, path: str) -> None:
        # What was removed meanwhile must not be made again.
        self._address = f"{Path(path).absolute().as_uri()}?mode=rw"
        self._began, self._thread = time.monotonic(), threading.Thread()

    def after_commit(self) -> None:
        """Start the next one, if it is time; it holds up no commit, and takes what was committed before it."""
        if time.monotonic() - self._began > SECONDS and not self._thread.is_alive():
            self._began = time.monotonic()
            self._thread = threading.Thread(target=self._work_off, name="checkpoint", daemon=True)
            self._thread.start()

    def _work_off(self) -> None:
        # If it fails, the next one does it.
        with contextlib.suppress(sqlite3.Error), contextlib.closing(sqlite3.connect(self._address, uri=True)) as log:
            log.execute("PRAGMA wal_checkpoint(PASSIVE)")
