"""SQLite's log is checkpointed beside the commits, and not within one."""

import contextlib
import os
import sqlite3
import threading

from campus import checkpoints
from campus.database import Database
from sqlalchemy import Column, MetaData, String, Table

metadata = MetaData()
texts = Table("texts", metadata, Column("text", String(4000), nullable=False))
PAGES = 1500  # more than SQLite waits for


def write(database: Database, times: int) -> None:
    for _ in range(times):
        with database.transaction() as tx:
            tx.execute("INSERT INTO texts (text) VALUES (:text)", {"text": 3900 * "x"})


def test_no_commit_works_off_the_log(tmp_path):
    path = tmp_path / "test.db"
    with contextlib.closing(Database(f"sqlite:///{path}", metadata)) as database:
        before = os.stat(path).st_size
        write(database, PAGES)
        assert os.stat(path).st_size == before


def test_it_is_worked_off_in_a_thread_when_it_is_time(tmp_path, monkeypatch, wait_until):
    path = tmp_path / "a #% name.db"
    with contextlib.closing(Database(f"sqlite:///{path}", metadata)) as database:
        write(database, PAGES)
        monkeypatch.setattr(checkpoints, "SECONDS", 0.0)
        write(database, 1)
        wait_until(lambda: os.stat(path).st_size > PAGES * 3900)
        with database.reading() as tx:
            assert tx.execute("SELECT count(*) FROM texts").fetchone() == (PAGES + 1,)


def test_commits_go_on_meanwhile(tmp_path, monkeypatch):
    with contextlib.closing(Database(f"sqlite:///{tmp_path}/test.db", metadata)) as database:
        monkeypatch.setattr(checkpoints, "SECONDS", 0.0)
        writers = [threading.Thread(target=write, args=(database, 200)) for _ in range(4)]
        for writer in writers:
            writer.start()
        for writer in writers:
            writer.join()
    with contextlib.closing(sqlite3.connect(tmp_path / "test.db")) as opened:
        assert opened.execute("SELECT count(*) FROM texts").fetchone() == (800,)
        assert opened.execute("PRAGMA integrity_check").fetchone() == ("ok",)


def test_a_file_that_is_gone_is_not_made_again(tmp_path):
    checkpoints.Checkpoints(str(tmp_path / "gone.db"))._work_off()
    assert list(tmp_path.iterdir()) == []
