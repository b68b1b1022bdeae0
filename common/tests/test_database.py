"""Transactions, from many threads, on either database."""

import contextlib
import threading

import pytest
from campus.database import Database, DatabaseDown
from sqlalchemy import Column, Integer, MetaData, String, Table, inspect

metadata = MetaData()
counters = Table(
    "counters", metadata, Column("name", String(64), primary_key=True), Column("value", Integer, nullable=False)
)
ADD = "INSERT INTO counters (name, value) VALUES (:name, :value) ON CONFLICT DO NOTHING"
SET = "UPDATE counters SET value = :value WHERE name = :name"
ONE_MORE = "UPDATE counters SET value = value + 1"


@pytest.fixture
def database(open_database):
    return open_database(metadata)


def rows(database: Database) -> dict[str, int]:
    with database.transaction() as tx:
        return dict(tx.execute("SELECT name, value FROM counters"))


def add_and_fail(database: Database) -> None:
    with database.transaction() as tx:
        tx.execute(ADD, {"name": "a", "value": 1})
        raise KeyError


def test_a_transaction_commits(database):
    with database.transaction() as tx:
        tx.execute(ADD, {"name": "a", "value": 1})
    assert rows(database) == {"a": 1}


def test_an_exception_rolls_everything_back_and_is_raised(database):
    with pytest.raises(KeyError):
        add_and_fail(database)
    assert rows(database) == {}
    with database.transaction() as tx:
        tx.execute(ADD, {"name": "b", "value": 1})
    assert rows(database) == {"b": 1}


def test_insert_if_absent_leaves_what_is_there(database):
    with database.transaction() as tx:
        assert tx.execute(ADD, {"name": "a", "value": 1}).rowcount == 1
        assert tx.execute(ADD, {"name": "a", "value": 2}).rowcount == 0
    assert rows(database) == {"a": 1}


def test_a_write_returns_how_many_rows_it_changed(database):
    with database.transaction() as tx:
        tx.execute(ADD, {"name": "a", "value": 1})
        assert tx.execute(SET, {"name": "a", "value": 2}).rowcount == 1
        assert tx.execute(SET, {"name": "b", "value": 2}).rowcount == 0
    assert rows(database) == {"a": 2}


def test_many_writes_are_one_call_and_each_has_its_values(database):
    with database.transaction() as tx:
        assert tx.executemany(ADD, [{"name": name, "value": n} for n, name in enumerate("abc")]).rowcount == 3
        assert tx.executemany(SET, [{"name": name, "value": n} for n, name in enumerate("cbx", 7)]).rowcount == 2
    assert rows(database) == {"a": 0, "b": 8, "c": 7}


def test_many_inserts_leave_what_is_there(database):
    with database.transaction() as tx:
        new = [{"name": "a", "value": 1}, {"name": "a", "value": 2}, {"name": "b", "value": 3}]
        assert tx.executemany(ADD, new).rowcount == 2
    assert rows(database) == {"a": 1, "b": 3}


def test_what_was_committed_is_there_after_opening_again(open_database):
    first = open_database(metadata)
    with first.transaction() as tx:
        tx.execute(ADD, {"name": "a", "value": 1})
    first.close()
    assert rows(open_database(metadata)) == {"a": 1}


def test_threads_do_not_lose_updates(database):
    with database.transaction() as tx:
        tx.execute(ADD, {"name": "a", "value": 0})

    def count() -> None:
        for _ in range(25):
            with database.transaction() as tx:
                tx.execute(ONE_MORE)

    threads = [threading.Thread(target=count) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert rows(database) == {"a": 200}


def test_postgresql_shows_a_change_to_others_when_it_is_committed(cluster):
    with cluster.database() as url:
        database = Database(url, metadata)
        with database.transaction() as tx:
            tx.execute(ADD, {"name": "a", "value": 1})
            assert rows(database) == {}
        assert rows(database) == {"a": 1}
        database.close()


def test_ping_raises_when_the_database_is_gone(cluster):
    with cluster.database() as url:
        database = Database(url, metadata)
        database.ping()
    with pytest.raises(DatabaseDown, match="does not exist"):
        database.ping()
    database.close()


def test_sqlite_keeps_every_commit_of_a_killed_process(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/a.db", metadata)
    with database.transaction() as tx:
        asked = {name: tx.execute(f"PRAGMA {name}").fetchone()[0] for name in ("journal_mode", "synchronous")}
    database.close()
    assert asked == {"journal_mode": "wal", "synchronous": 1}


def test_an_unreachable_database_raises_at_once():
    with pytest.raises(DatabaseDown, match="unable to open"):
        Database("sqlite:////nowhere/at/all.db", metadata)


def test_a_table_from_before_gets_its_new_columns_and_indexes(url):
    old = MetaData()
    Table("counters", old, Column("name", String(64), primary_key=True), sqlite_with_rowid=False)
    with contextlib.closing(Database(url, old)) as database, database.transaction() as tx:
        tx.execute("INSERT INTO counters VALUES ('a')")
    new = MetaData()
    more = Column("value", Integer, nullable=False, server_default="7", index=True)
    Table("counters", new, Column("name", String(64), primary_key=True), more, sqlite_with_rowid=False)
    for _ in range(2):
        with contextlib.closing(Database(url, new)) as database:
            assert rows(database) == {"a": 7}
            with database.transaction() as tx:
                indexes = inspect(tx.connection).get_indexes("counters")
            assert [index["column_names"] for index in indexes] == [["value"]]
