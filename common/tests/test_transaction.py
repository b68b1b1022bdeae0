"""Statements with named parameters, on databases of both kinds."""

import pytest
from campus.transaction import Transaction
from sqlalchemy import Column, Integer, LargeBinary, MetaData, String, Table

metadata = MetaData()
columns = Column("name", String(64), primary_key=True), Column("size", Integer), Column("raw", LargeBinary)
Table("notes", metadata, *columns)
ADD = "INSERT INTO notes (name, size, raw) VALUES (:name, :size, :raw) ON CONFLICT DO NOTHING"


@pytest.fixture
def tx(open_database):
    with open_database(metadata).transaction() as begun:
        begun.executemany(ADD, [{"name": name, "size": n, "raw": b"\0"} for n, name in enumerate(("a", "b", "50 %"))])
        yield begun


def names(tx: Transaction, condition: str, **values) -> list[str]:
    return [name for (name,) in tx.execute(f"SELECT name FROM notes WHERE {condition} ORDER BY size", values)]


def test_a_name_stands_for_its_value_wherever_it_is_written(tx):
    assert names(tx, "size = :size OR size = :size + 1", size=0, more="is left alone") == ["a", "b"]
    assert tx.execute("SELECT name, size, raw FROM notes WHERE name = :name", {"name": "b"}).fetchall() == [
        ("b", 1, b"\0")
    ]
    assert tx.execute("SELECT name FROM notes WHERE name = :name", {"name": "c"}).fetchone() is None


def test_a_list_of_values(tx):
    assert names(tx, "name IN :names AND size < :size", names=["b", "a", "c", "50 %"], size=2) == ["a", "b"]
    assert names(tx, "name IN :names", names=[]) == []
    assert tx.execute("DELETE FROM notes WHERE name IN :names", {"names": ["a", "b"]}).rowcount == 2
    many = [f"n{n}" for n in range(40_000)]  # more than SQLite takes as single values
    assert names(tx, "name IN :names", names=[*many, "50 %"]) == ["50 %"]


def test_a_percent_sign_is_one(tx):
    assert names(tx, "name LIKE '50 %'") == ["50 %"]


def test_a_cast_is_no_name(tx):
    if tx.kind == "postgresql":
        assert tx.execute("SELECT :size::text", {"size": 7}).fetchone() == ("7",)


def test_many_rows_are_one_call_and_none_is_fine(tx):
    assert tx.executemany(ADD, []).rowcount <= 0
    rows = [{"name": name, "size": 9, "raw": None} for name in ("a", "x", "y")]
    assert tx.executemany(ADD, rows).rowcount == 2
