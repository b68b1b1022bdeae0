"""Transactions, from many threads, on either database."""

import threading

import pytest
from campus.database import Database, InsertIfAbsent
from sqlalchemy import Column, Integer, MetaData, String, Table, select, text, update
from sqlalchemy.exc import OperationalError

metadata = MetaData()
counters = Table(
    "counters", metadata, Column("name", String(64), primary_key=True), Column("value", Integer, nullable=False)
)
add = InsertIfAbsent(counters)


@pytest.fixture
def database(open_database):
    return open_database(metadata)


def rows(database: Database) -> dict[str, int]:
    with database.transaction() as tx:
        return {row.name: row.value for row in tx.execute(select(counters))}


def add_and_fail(database: Database) -> None:
    with database.transaction() as tx:
        add(tx, {"name": "a", "value": 1})
        raise KeyError


def test_a_transaction_commits(database):
    with database.transaction() as tx:
        assert add(tx, {"name": "a", "value": 1})
    assert rows(database) == {"a": 1}


def test_an_exception_rolls_everything_back_and_is_raised(database):
    with pytest.raises(KeyError):
        add_and_fail(database)
    assert rows(database) == {}
    with database.transaction() as tx:
        add(tx, {"name": "b", "value": 1})
    assert rows(database) == {"b": 1}


def test_insert_if_absent_leaves_what_is_there(database):
    with database.transaction() as tx:
        assert add(tx, {"name": "a", "value": 1}) == 1
        assert add(tx, {"name": "a", "value": 2}) == 0
    assert rows(database) == {"a": 1}


def test_what_was_committed_is_there_after_opening_again(open_database):
    first = open_database(metadata)
    with first.transaction() as tx:
        add(tx, {"name": "a", "value": 1})
    first.close()
    assert rows(open_database(metadata)) == {"a": 1}


def test_threads_do_not_lose_updates(database):
    one_more = update(counters).values(value=counters.c.value + 1)
    with database.transaction() as tx:
        add(tx, {"name": "a", "value": 0})

    def count() -> None:
        for _ in range(25):
            with database.transaction() as tx:
                tx.execute(one_more)

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
            add(tx, {"name": "a", "value": 1})
            assert rows(database) == {}
        assert rows(database) == {"a": 1}
        database.close()


def test_ping_raises_when_the_database_is_gone(cluster):
    with cluster.database() as url:
        database = Database(url, metadata)
        database.ping()
    with pytest.raises(OperationalError, match="does not exist"):
        database.ping()
    database.close()


def test_sqlite_keeps_every_commit_of_a_killed_process(tmp_path):
    database = Database(f"sqlite:///{tmp_path}/a.db", metadata)
    with database.transaction() as tx:
        asked = {name: tx.execute(text(f"PRAGMA {name}")).scalar() for name in ("journal_mode", "synchronous")}
    database.close()
    assert asked == {"journal_mode": "wal", "synchronous": 1}


def test_an_unreachable_database_raises_at_once():
    with pytest.raises(OperationalError, match="unable to open"):
        Database("sqlite:////nowhere/at/all.db", metadata)
