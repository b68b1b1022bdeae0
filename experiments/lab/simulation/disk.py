"""The databases of the simulated services: SQLite in memory. They outlive a crash."""

import contextlib
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any

from campus.database import Database, DatabaseDown
from sqlalchemy import MetaData


class Disk(Database):
    """One service's database. It is made once; `clear` empties it for the next run."""

    def __init__(self, *tables: MetaData, effect: Callable[[str], None], frame: Callable[[], Any]) -> None:
        super().__init__("sqlite://", *tables)
        self._names = [table.name for metadata in tables for table in metadata.sorted_tables]
        self._effect, self._frame = effect, frame
        self.fails = False  # locked or full: nothing can be written
        self.shared = False  # several processes work on it

    @property
    def is_shared(self) -> bool:
        """Whether several processes may work on it."""
        return self.shared

    @contextlib.contextmanager
    def transaction(self) -> Iterator[Any]:
        """Do what the real one does; a process may crash before and after the commit."""
        if self.fails:
            raise DatabaseDown("OperationalError: database or disk is full")
        with _inside(self._frame()), super().transaction() as tx:
            before = tx.driver.total_changes
            yield tx
            changed = tx.driver.total_changes > before
            if changed:
                self._effect("commit:before")
        if changed:
            self._effect("commit:after")

    @contextlib.contextmanager
    def look(self) -> Iterator[Any]:
        """Read without being noticed."""
        with super().transaction() as tx:
            yield tx

    def clear(self) -> None:
        """Make it empty."""
        self.fails = False
        with super().transaction() as tx:
            for name in self._names:
                tx.execute(f"DELETE FROM {name}")

    def close(self) -> None:
        """Keep it: the process is gone, and the disk is not."""


@contextlib.contextmanager
def _inside(frame: Any) -> Iterator[None]:
    if frame is None:
        yield
        return
    frame.in_transaction += 1
    try:
        yield
    finally:
        frame.in_transaction -= 1


class Disks:
    """The databases of all services of a part."""

    def __init__(self, *, effect: Callable[[str], None], frame: Callable[[], Any]) -> None:
        self._effect, self._frame = effect, frame
        self._disks: dict[str, Disk] = {}
        self._users: Counter[str] = Counter()  # how many processes each service has

    def __getitem__(self, service: str) -> Disk:
        return self._disks[service]

    def __contains__(self, service: str) -> bool:
        return service in self._disks

    def opener(self, service: str) -> Callable[..., Disk]:
        """Return what stands for the class Database in a service: it opens the one that is there."""

        self._users[service] += 1

        def open_disk(_url: str, *tables: MetaData) -> Disk:
            if service not in self._disks:
                self._disks[service] = Disk(*tables, effect=self._effect, frame=self._frame)
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
