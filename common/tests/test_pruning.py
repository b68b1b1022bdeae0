"""A table of what was dealt with keeps the rows of the newest orders, and loses the others a few at a time."""

import pytest
from campus import pruning
from campus.pruning import Pruning
from sqlalchemy import Column, MetaData, String, Table

metadata = MetaData()
dealt_with = Table(
    "dealt_with",
    metadata,
    Column("order_id", String(64), primary_key=True),
    Column("event_id", String(64), primary_key=True),
    sqlite_with_rowid=False,
)
ADD = "INSERT INTO dealt_with (order_id, event_id) VALUES (:order_id, :event_id) ON CONFLICT DO NOTHING"


class Clock:
    now = 5.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def database(open_database, monkeypatch):
    monkeypatch.setattr(pruning, "KEPT", 6)
    monkeypatch.setattr(pruning, "STEP", 4)
    return open_database(metadata)


def write(database, numbers) -> None:
    with database.transaction() as tx:
        tx.executemany(ADD, [{"order_id": f"o{n:02}", "event_id": f"e{n}"} for n in numbers])


def rows(database) -> list[str]:
    with database.reading() as tx:
        return [order_id for (order_id,) in tx.execute("SELECT order_id FROM dealt_with ORDER BY order_id")]


def test_the_newest_stay_and_the_others_go_a_few_at_a_time(database):
    write(database, range(16))
    step = Pruning(database, dealt_with).step
    assert step()
    assert rows(database) == [f"o{n:02}" for n in range(4, 16)]
    while step():
        pass
    assert rows(database) == [f"o{n:02}" for n in range(10, 16)]


def test_what_is_not_too_much_stays(database):
    write(database, range(6))
    assert not Pruning(database, dealt_with).step()
    assert len(rows(database)) == 6


def test_it_looks_again_after_a_minute(database):
    clock = Clock()
    step = Pruning(database, dealt_with, clock=clock).step
    assert not step()
    write(database, range(8))
    assert not step()
    clock.now += pruning.LOOK_SECONDS
    assert step()
    while step():
        pass
    assert len(rows(database)) == 6
