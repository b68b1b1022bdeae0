"""A real PostgreSQL that is stopped, killed and frozen: each says DatabaseDown in time, and all is well afterwards."""

import contextlib
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from campus.database import CommitUnknown, Database, DatabaseDown
from campus.transaction import Transaction
from sqlalchemy import Column, MetaData, String, Table
from testing import postgres, wait_until

SOON = 10.0  # seconds: a statement's limit and a connection's, and what a busy machine adds

metadata = MetaData()
notes = Table("notes", metadata, Column("name", String(64), primary_key=True))
ADD = "INSERT INTO notes (name) VALUES (:name) ON CONFLICT DO NOTHING"


class Server:
    """A PostgreSQL server of this test's own."""

    def __init__(self, url: str) -> None:
        self.url = url
        with psycopg.connect(url) as connection:
            self._data = Path(connection.execute("SHOW data_directory").fetchone()[0])

    def stop(self) -> None:
        """Stop it; whoever is connected loses the connection."""
        self._control("stop", "-m", "fast")

    def start(self) -> None:
        """Start it, on the same port."""
        port = self.url.rpartition(":")[2].partition("/")[0]
        self._control("start", "-l", self._data / "server.log", "-o", f"-p {port} {postgres.SETTINGS}")

    def kill(self) -> None:
        """Kill its first process at once; the others end when they notice."""
        lock = self._data / "postmaster.pid"
        os.kill(int(lock.read_text().split()[0]), signal.SIGKILL)
        wait_until(lambda: not _processes(self._data))
        lock.unlink()  # it would take a zombie for a server that runs

    @contextlib.contextmanager
    def frozen(self) -> Iterator[None]:
        """Stop all of its processes in their tracks: ports and connections stay open."""
        pids = _processes(self._data)
        for pid in pids:
            os.kill(pid, signal.SIGSTOP)
        try:
            yield
        finally:
            for pid in pids:
                os.kill(pid, signal.SIGCONT)

    def _control(self, *words: str | Path) -> None:
        postgres._run(postgres.find_program("pg_ctl"), *words, "-w", "-D", self._data)


def _processes(data: Path) -> list[int]:
    """Return the processes that work in this directory, as all of PostgreSQL's do, the first of them first."""
    found = subprocess.run(["pgrep", "-x", "postgres"], capture_output=True, text=True, check=False).stdout.split()
    return sorted(int(pid) for pid in found if _folder(pid) == data)


def _folder(pid: str) -> Path | None:
    with contextlib.suppress(OSError):
        return Path(os.readlink(f"/proc/{pid}/cwd"))
    return None


@pytest.fixture(scope="module")
def server(cluster) -> Iterator[Server]:
    with postgres.private_cluster() as own:
        yield Server(own.url)


@pytest.fixture
def database(server):
    opened = Database(server.url, metadata)
    yield opened
    opened.close()


def write(database: Database, name: str, meanwhile: Callable[[], object] = lambda: None) -> None:
    with database.transaction() as tx:
        tx.execute(ADD, {"name": f"first {name}"})
        meanwhile()
        tx.execute(ADD, {"name": name})


def down_soon(database: Database) -> None:
    """Writing, reading and asking each say in time that the database is down."""
    began = time.monotonic()
    with pytest.raises(DatabaseDown):
        write(database, "never")
    with pytest.raises(DatabaseDown), database.reading() as tx:
        tx.execute("SELECT name FROM notes")
    with pytest.raises(DatabaseDown):
        database.ping()
    assert time.monotonic() - began < 3 * SOON


def works(database: Database) -> bool:
    with contextlib.suppress(DatabaseDown):
        database.ping()
        write(database, "again")
        return True
    return False


def test_postgresql_stopped_and_started_again(server, database):
    write(database, "a")
    server.stop()
    try:
        down_soon(database)
    finally:
        server.start()
    assert works(database)


def test_postgresql_killed_in_the_middle_of_a_transaction(server, database):
    write(database, "a")
    try:
        with pytest.raises(DatabaseDown):
            write(database, "b", server.kill)
        down_soon(database)
    finally:
        server.start()
    assert works(database)


def test_a_service_that_starts_first_waits_for_postgresql_and_says_so(server, caplog):
    server.stop()
    opened: list[Database] = []
    thread = threading.Thread(target=lambda: opened.append(Database(server.url, metadata)))
    try:
        thread.start()
        wait_until(lambda: "waiting for the database" in caplog.text)
    finally:
        server.start()
    thread.join(30)
    assert works(opened[0])
    opened[0].close()


def test_frozen_postgresql(server, database, monkeypatch):
    monkeypatch.setattr("campus.engines._Patient.limit", 1.0)
    write(database, "a")
    with server.frozen():
        down_soon(database)
    wait_until(lambda: works(database))


def test_postgresql_frozen_in_the_middle_of_a_transaction(server, database, monkeypatch):
    monkeypatch.setattr("campus.engines._Patient.limit", 1.0)
    with contextlib.ExitStack() as frozen, pytest.raises(DatabaseDown, match="silent"):
        write(database, "c", lambda: frozen.enter_context(server.frozen()))
    wait_until(lambda: works(database))


def lose_connection(server: Server, tx: Transaction) -> None:
    """End the server's side of this transaction's connection, and wait until it is gone."""
    pid = tx.execute("SELECT pg_backend_pid()").fetchone()[0]
    with psycopg.connect(server.url, autocommit=True) as other:
        other.execute("SELECT pg_terminate_backend(%s)", [pid])
        gone = "SELECT count(*) = 0 FROM pg_stat_activity WHERE pid = %s"
        wait_until(lambda: other.execute(gone, [pid]).fetchone()[0])


def test_a_connection_that_is_lost_while_it_commits_leaves_the_outcome_open(server, database):
    def write_and_lose() -> None:
        with database.transaction() as tx:
            tx.execute(ADD, {"name": "at the last moment"})
            lose_connection(server, tx)

    with pytest.raises(CommitUnknown):
        write_and_lose()


def test_a_connection_that_is_lost_before_leaves_nothing_open(server, database):
    def lose_and_write() -> None:
        with database.transaction() as tx:
            lose_connection(server, tx)
            tx.execute(ADD, {"name": "never"})

    with pytest.raises(DatabaseDown) as down:
        lose_and_write()
    assert not isinstance(down.value, CommitUnknown)
