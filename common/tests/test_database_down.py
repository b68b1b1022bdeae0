"""A database that cannot do its work says so, as itself: no statement, and no value in it, is to blame."""

import contextlib
import sqlite3
import threading
from collections.abc import Callable
from typing import Any

import psycopg
import pytest
from campus.database import Database, DatabaseDown
from campus.transaction import Transaction
from sqlalchemy import BigInteger, Column, MetaData, String, Table
from testing import wait_until

metadata = MetaData()
notes = Table("notes", metadata, Column("name", String(64), primary_key=True), Column("size", BigInteger))
ADD = "INSERT INTO notes (name, size) VALUES (:name, :size) ON CONFLICT DO NOTHING"


@pytest.fixture
def database(open_database):
    return open_database(metadata)


@pytest.fixture
def lite(tmp_path):
    opened = Database(f"sqlite:///{tmp_path}/a.db", metadata)
    yield opened
    opened.close()


VALUE_ERRORS = (
    psycopg.DataError,
    psycopg.IntegrityError,
    sqlite3.IntegrityError,
    UnicodeError,
    OverflowError,
)


def write(
    database: Database,
    *,
    first: Callable[[Transaction], Any] = lambda tx: None,
    **values: Any,
) -> None:
    with database.transaction() as tx:
        first(tx)
        tx.execute(ADD, {"name": "a", "size": 1} | values)


def names(database: Database) -> list[str]:
    with database.reading() as tx:
        return [name for (name,) in tx.execute("SELECT name FROM notes ORDER BY name")]


@pytest.mark.promise("infrastructure")
def test_a_locked_file_is_down_until_it_is_free_again(lite, tmp_path):
    other = sqlite3.connect(tmp_path / "a.db", isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    with pytest.raises(DatabaseDown, match="locked"):
        write(lite)
    assert names(lite) == []  # who reads is not in the way of who writes, nor the other way round
    other.execute("ROLLBACK")
    write(lite)
    assert names(lite) == ["a"]
    other.close()


def test_a_file_that_may_not_be_written_is_down(lite):
    with pytest.raises(DatabaseDown, match="readonly"):
        write(lite, first=lambda tx: tx.execute("PRAGMA query_only=ON"))
    write(lite)  # on a connection that was made anew
    assert names(lite) == ["a"]


def test_a_full_database_is_down_until_it_has_room_again(lite):
    def fill(tx: Transaction) -> None:
        tx.execute("PRAGMA max_page_count=1")
        for n in range(200):
            tx.execute(ADD, {"name": f"{n:060}", "size": n})

    with pytest.raises(DatabaseDown, match="full"):
        write(lite, first=fill)
    write(lite)
    assert names(lite) == ["a"]


def test_ping_finds_out_that_nothing_can_be_written(lite):
    lite.ping()
    with lite.transaction() as tx:
        tx.execute("PRAGMA query_only=ON")
    with pytest.raises(DatabaseDown, match="readonly"):
        lite.ping()
    lite.ping()


def test_ping_does_not_wait_for_a_transaction_that_does_not_end(database, monkeypatch):
    monkeypatch.setattr("campus.database.PING_SECONDS", 0.1)
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with database.transaction() as tx:
            tx.execute("DELETE FROM pings")
            held.set()
            free.wait(10)

    database.ping()
    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    with pytest.raises(DatabaseDown, match="nothing could be written"):
        database.ping()
    with pytest.raises(DatabaseDown, match="nothing could be written"):
        database.ping()
    free.set()
    thread.join()
    wait_until(lambda: pings(database))


def test_a_broken_file_is_down(lite, tmp_path):
    write(lite)
    lite.close()
    (tmp_path / "a.db").write_bytes(b"no database at all" * 1000)
    with pytest.raises(DatabaseDown, match="not a database"):
        write(lite)


@pytest.mark.promise("limits")
def test_a_turn_is_not_waited_for_without_a_limit(lite, monkeypatch):
    monkeypatch.setattr("campus.engines.LONGEST_WAIT", 0.1)
    held, free = threading.Event(), threading.Event()

    def hold() -> None:
        with lite.transaction():
            held.set()
            free.wait(10)

    thread = threading.Thread(target=hold)
    thread.start()
    assert held.wait(10)
    with pytest.raises(DatabaseDown, match="other transactions have held"):
        write(lite)
    free.set()
    thread.join()
    write(lite)


@pytest.mark.parametrize("value", [{"name": "a\ud800"}, {"size": 1 << 70}, {"name": None}])
def test_what_a_value_is_to_blame_for_stays_what_it_is(database, value):
    with pytest.raises(VALUE_ERRORS) as raised:
        write(database, **value)
    assert not isinstance(raised.value, DatabaseDown)
    write(database)


def test_a_wrong_statement_stays_what_it_is(database):
    with pytest.raises((sqlite3.OperationalError, psycopg.ProgrammingError), match="colour"), database.reading() as tx:
        tx.execute("SELECT colour FROM notes")
    write(database)
    with pytest.raises((sqlite3.IntegrityError, psycopg.IntegrityError)), database.transaction() as tx:
        tx.execute("INSERT INTO notes (name, size) VALUES (:name, :size)", {"name": "a", "size": 1})


def pings(database: Database) -> bool:
    with contextlib.suppress(DatabaseDown):
        database.ping()
        return True
    return False


@pytest.fixture
def postgres(cluster):
    with cluster.database() as url:
        opened = Database(url, metadata)
        yield opened
        opened.close()


def close_connections(cluster) -> None:
    """Let the server close all connections to the tests' databases."""
    with psycopg.connect(cluster.url, autocommit=True) as other:
        other.execute(
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity "
            "WHERE datname LIKE 'lab%' AND pid <> pg_backend_pid()"
        )


def test_postgresql_blames_nul_on_the_text(postgres):
    with pytest.raises(psycopg.DataError, match="NUL"):
        write(postgres, name="a\0b")


def test_postgresql_that_closes_connections_is_down_and_the_next_transaction_works(postgres, cluster):
    with pytest.raises(DatabaseDown, match=r"terminat|lost|closed"):
        write(postgres, first=lambda tx: close_connections(cluster))
    write(postgres)
    close_connections(cluster)  # while it is idle: nobody notices
    assert names(postgres) == ["a"]


def test_read_only_postgresql_is_down(postgres):
    with pytest.raises(DatabaseDown, match="read-only"):
        write(postgres, first=lambda tx: tx.execute("SET TRANSACTION READ ONLY"))
    write(postgres)


def test_one_process_has_the_turn_until_it_ends_or_its_connection_is_lost(cluster):
    with cluster.database() as url:
        first, second = (Database(url, metadata) for _ in range(2))
        with first.turn(1) as mine, second.turn(1) as too, second.turn(2) as another:
            assert (mine, too, another) == (True, False, True)

        def lose_it_in_between() -> None:
            with first.turn(1):
                close_connections(cluster)
                with second.turn(1) as mine:
                    others.append(mine)

        others: list[bool] = []
        with pytest.raises(DatabaseDown):
            lose_it_in_between()
        assert others == [True]
        first.close()
        second.close()
