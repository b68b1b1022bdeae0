"""Services that start: beside others, before their database, and on a file that another process uses."""

import contextlib
import logging
import os
import signal
import sqlite3
import subprocess
import sys
import threading
from pathlib import Path

import pytest
from campus import file_lock, stock
from campus.database import Database
from testing import Service, wait_until

ROOT = Path(__file__).resolve().parents[2]


@pytest.fixture
def inventory(tmp_path):
    """A function that makes an inventory service of Part A; all use one file, and wait half a second for it."""
    made: list[Service] = []
    (tmp_path / "sitecustomize.py").write_text("from campus import file_lock\nfile_lock.LEAVING_SECONDS = 0.5\n")
    paths = os.pathsep.join(str(path) for path in (tmp_path, ROOT / "sync-rest", ROOT / "common"))

    def make(name: str) -> Service:
        env = {"DATABASE_URL": f"sqlite:///{tmp_path}/shared.db", "PYTHONPATH": paths}
        made.append(Service(ROOT / "sync-rest", name, tmp_path, package="inventory_service", **env))
        return made[-1]

    yield make
    for service in made:
        service.kill()


def test_a_second_process_on_a_sqlite_file_is_refused_with_a_sentence(inventory):
    first, second = inventory("first"), inventory("second")
    first.start()
    wait_until(first.ready)
    second.start()
    assert second.process.wait(60) == 3  # and its master does not try again
    assert "in use by another process" in second.log()
    assert "Traceback" not in second.log()
    assert all(line.startswith("{") for line in second.log().splitlines())
    assert first.ready()


def test_after_a_kill_the_file_is_free(inventory):
    service = inventory("first")
    for _ in range(2):
        service.start()
        wait_until(service.ready)
        service.kill()
    assert "in use" not in service.log()


def test_a_reload_waits_for_the_process_that_leaves(inventory, tmp_path):
    (tmp_path / "sitecustomize.py").unlink()
    service = inventory("first")
    service.start()
    wait_until(service.ready)
    before = _children(service)
    os.kill(service.process.pid, signal.SIGHUP)
    wait_until(lambda: service.runs and _children(service) and not _children(service) & before)
    wait_until(service.ready)


def _children(service: Service) -> set[str]:
    return set(
        subprocess.run(["pgrep", "-P", str(service.process.pid)], capture_output=True, check=False).stdout.split()
    )


def test_one_process_may_open_its_file_twice(tmp_path, monkeypatch):
    monkeypatch.setattr(file_lock, "LEAVING_SECONDS", 0.1)
    opened = [Database(f"sqlite:///{tmp_path}/a.db", stock.metadata) for _ in range(2)]
    opened[0].close()
    other = "import sys; from campus import file_lock; file_lock.LEAVING_SECONDS = 0.1; file_lock.hold(sys.argv[1])"
    command = [sys.executable, "-c", other, str(tmp_path / "a.db")]
    env = os.environ | {"PYTHONPATH": str(ROOT / "common")}
    assert subprocess.run(command, env=env, check=False).returncode == 3
    opened[1].close()
    assert subprocess.run(command, env=env, check=False).returncode == 0


def test_many_that_start_at_once_on_an_empty_database_all_start(open_database):
    def start() -> None:
        database = open_database(stock.metadata)
        with database.transaction() as tx:
            stock.fill(tx, '{"taco": 1, "burger": 2, "soda": 3}')
        started.append(database)

    started: list[Database] = []
    threads = [threading.Thread(target=start) for _ in range(12)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(started) == len(threads)
    with started[0].reading() as tx:
        assert {sku: level["on_hand"] for sku, level in stock.levels(tx).items()} == {"taco": 1, "burger": 2, "soda": 3}


def test_a_service_waits_for_its_database_and_says_so_once(tmp_path, caplog):
    caplog.set_level(logging.WARNING, "campus")
    with contextlib.closing(sqlite3.connect(tmp_path / "a.db", isolation_level=None)) as other:
        other.execute("BEGIN EXCLUSIVE")
        thread = threading.Thread(target=lambda: Database(f"sqlite:///{tmp_path}/a.db", stock.metadata).close())
        thread.start()
        wait_until(lambda: "waiting for the database" in caplog.text)
        other.execute("ROLLBACK")
        thread.join(30)
    assert not thread.is_alive()
    assert caplog.text.count("waiting for the database") == 1
