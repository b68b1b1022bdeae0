"""The databases of the simulated services: SQLite in memory. They outlive a crash."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from campus.database import Database, DatabaseDown
from campus.database_errors import down
from campus.transaction import Transaction
from sqlalchemy import MetaData


class Disk(Database):
    """One service's database. It is made once; `clear` empties it for the next run."""

    def __init__(
        self, *tables: MetaData, effect: Callable[[str], None], frame: Callable[[], Any], broken: bool = False
    ) -> None:
        super().__init__("sqlite://", *tables)
        self._names = [table.name for metadata in tables for table in metadata.sorted_tables]
        self.effect, self.frame = effect, frame
        self._broken = broken  # its code brings a transaction of its own
        self.fails = False  # locked or full: nothing can be written
        self.shared = False  # several processes work on it
        with super().transaction() as self.tx:
            pass

    @property
    def is_shared(self) -> bool:
        """Whether several processes may work on it."""
        return self.shared

    def transaction(self) -> contextlib.AbstractContextManager[Transaction]:
        """Do what the real one does; a process may crash before and after the commit."""
        if self.fails:
            raise DatabaseDown("OperationalError: database or disk is full")
        return self._of_broken_code() if self._broken else _Writing(self)

    @contextlib.contextmanager
    def _of_broken_code(self) -> Iterator[Transaction]:
        with super().transaction() as tx:
            before = tx.driver.total_changes
            yield tx
            changed = tx.driver.total_changes > before
            if changed:
                self.effect("commit:before")
        if changed:
            self.effect("commit:after")

    def reading(self) -> contextlib.AbstractContextManager[Transaction]:
        """Read: nothing is written meanwhile, as there are no threads."""
        return contextlib.nullcontext(self.tx)

    look = reading  # without being noticed

    def clear(self) -> None:
        """Make it empty."""
        self.fails = False
        with super().transaction() as tx:
            for name in self._names:
                tx.execute(f"DELETE FROM {name}")

    def close(self) -> None:
        """Keep it: the process is gone, and the disk is not."""


class _Writing:
    """A transaction of `campus.database` on the one connection in memory, without what threads and files need."""

    def __init__(self, disk: Disk) -> None:
        self._disk = disk

    def __enter__(self) -> Transaction:
        driver, self._frame = self._disk.tx.driver, self._disk.frame()
        if self._frame is not None:
            self._frame.in_transaction += 1
        driver.execute("BEGIN")
        self._before = driver.total_changes
        return self._disk.tx

    def __exit__(self, _kind: Any, error: BaseException | None, _traceback: Any) -> None:
        driver, changed = self._disk.tx.driver, False
        try:
            if error is None:
                changed = driver.total_changes > self._before
                if changed:
                    self._disk.effect("commit:before")
                driver.commit()
        finally:
            if driver.in_transaction:
                driver.rollback()
            if self._frame is not None:
                self._frame.in_transaction -= 1
        if error is not None and (fault := down(error)):
            raise fault from error
        if changed:
            self._disk.effect("commit:after")


class Disks:
    """The databases of all services of a part."""

    def __init__(self, *, effect: Callable[[str], None], frame: Callable[[], Any]) -> None:
        self._effect, self._frame = effect, frame
        self._disks: dict[str, Disk] = {}
        self._users: Counter[str] = Counter()  # how many processes each service has
        self.broken: set[str] = set()  # services whose own code says when something is committed

    def __getitem__(self, service: str) -> Disk:
        return self._disks[service]

    def __contains__(self, service: str) -> bool:
        return service in self._disks

    def opener(self, service: str) -> Callable[..., Disk]:
        """Return what stands for the class Database in a service: it opens the one that is there."""

        self._users[service] += 1

        def open_disk(_url: str, *tables: MetaData) -> Disk:
            if service not in self._disks:
                self._disks[service] = Disk(
                    *tables, effect=self._effect, frame=self._frame, broken=service in self.broken
                )
            self._disks[service].shared = self._users[service] > 1
            return self._disks[service]

        return open_disk

    def clear(self) -> None:
        """Empty all."""
        for disk in self._disks.values():
            disk.clear()

    def heal(self) -> None:
        """End the faults of all."""
        for disk in self._disks.values():
            disk.fails = False
