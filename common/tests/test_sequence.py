"""Lists are in the order of commits, whoever reads them meanwhile; and they are as fast at any size."""

import random
import threading
import time
from collections.abc import Callable, Iterator

import pytest
from campus import notifications, order_store, outbox, stock
from campus.database import Database
from campus.ids import new_order_id
from campus.orders import FAILED, Order
from campus.problems import Problem
from campus.transaction import Transaction

WRITERS, EACH = 16, 12
ITEMS = [{"sku": "burger", "qty": 1}]


def place(tx: Transaction, order_id: str) -> None:
    order_store.place(tx, Order(order_id, "u1", ITEMS, "placed", []), key=None)


def reserve(tx: Transaction, order_id: str) -> None:
    stock.reserve(tx, order_id, ITEMS, refuse="injected")


def notify(tx: Transaction, order_id: str) -> None:
    notifications.send(tx, order_id, "u1")


LISTS = {
    "orders": (order_store.metadata, order_store.page, lambda row: row.order_id, place),
    "reservations": (stock.metadata, stock.page, lambda row: row["order_id"], reserve),
    "notifications": (notifications.metadata, notifications.page, lambda row: row["order_id"], notify),
}


class List:
    """One of the lists, in a database of its own."""

    def __init__(self, database: Database, page: Callable, id_of: Callable, write: Callable) -> None:
        self.database, self._page, self._id_of, self.write = database, page, id_of, write

    def after(self, order_id: str) -> list[str]:
        with self.database.reading() as tx:
            return [self._id_of(row) for row in self._page(tx, after=order_id, limit=50)]


@pytest.fixture(params=LISTS)
def listed(request, open_database) -> Iterator[List]:
    metadata, page, id_of, write = LISTS[request.param]
    return List(open_database(metadata), page, id_of, write)


def test_what_is_committed_late_comes_late(listed):
    first, second = sorted([new_order_id(), new_order_id()])
    for order_id in (second, first):
        with listed.database.transaction() as tx:
            listed.write(tx, order_id)
    assert listed.after("") == [second, first]
    assert listed.after(second) == [first]
    assert listed.after(first) == []


def test_after_an_order_that_is_not_there_is_refused(listed):
    with pytest.raises(Problem) as raised:
        listed.after(new_order_id())
    assert raised.value.status == 400


def test_a_follower_misses_nothing_of_many_writers(listed):
    written: list[str] = []

    def write(seed: int) -> None:
        chance = random.Random(seed)
        for _ in range(EACH):
            order_id = new_order_id()
            time.sleep(chance.uniform(0, 0.005))  # as a request does other things between the two
            with listed.database.transaction() as tx:
                listed.write(tx, order_id)
                time.sleep(chance.uniform(0, 0.001))
            written.append(order_id)

    threads = [threading.Thread(target=write, args=(seed,)) for seed in range(WRITERS)]
    for thread in threads:
        thread.start()
    seen: list[str] = []
    while True:
        finished = not any(thread.is_alive() for thread in threads)
        found = listed.after(seen[-1] if seen else "")
        seen += found
        if finished and not found:
            break
    assert len(written) == WRITERS * EACH
    assert sorted(seen) == sorted(written)


def test_postgresql_shows_nothing_beyond_a_transaction_that_still_runs(cluster):
    with cluster.database() as url:
        database = Database(url, notifications.metadata)
        listed = List(database, *LISTS["notifications"][1:])
        with database.transaction() as slow:
            notify(slow, "o1")
            with database.transaction() as quick:
                notify(quick, "o2")
            assert listed.after("") == []
        assert listed.after("") == ["o1", "o2"]
        database.close()


class Explaining(Transaction):
    """A transaction that keeps how the database carries out each SELECT, line by line."""

    def explain(self, run: Callable[[Transaction], object]) -> list[str]:
        self.lines: list[str] = []
        self.how = "EXPLAIN QUERY PLAN " if self.kind == "sqlite" else "EXPLAIN "
        if self.kind == "postgresql":
            for way in ("seqscan", "bitmapscan", "sort"):  # what it would do with many rows, if it can
                super().execute(f"SET LOCAL enable_{way} = off")
        run(self)
        assert self.lines
        return self.lines

    def execute(self, sql, values=None):
        if sql.startswith("SELECT"):
            self.lines += [str(row[-1]) for row in super().execute(self.how + sql, values)]
        return super().execute(sql, values)


QUERIES = {
    "orders": lambda tx, after: order_store.page(tx, after=after, limit=100),
    "orders of one status": lambda tx, after: order_store.page(tx, after=after, limit=100, status=FAILED),
    "an order": lambda tx, after: order_store.find(tx, after or "o1"),
    "several orders": lambda tx, after: order_store.find_many(tx, ["o1", "o2", after]),
    "reservations": lambda tx, after: stock.page(tx, after=after, limit=100),
    "a reservation": lambda tx, after: stock.find(tx, after or "o1"),
    "notifications": lambda tx, after: notifications.page(tx, after=after, limit=100),
    "notifications of one order": lambda tx, after: notifications.page(tx, after=after, limit=100, order_id="o1"),
    "the oldest of the outbox": lambda tx, after: outbox.oldest(tx, 100),
}
EVERYTHING = order_store.metadata, stock.metadata, notifications.metadata, outbox.metadata


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("after", ["", "o1"])
def test_each_query_has_an_index(open_database, query, after):
    database = open_database(*EVERYTHING)
    with database.transaction() as tx:
        for write in (place, reserve, notify):
            write(tx, "o1")
    with database.transaction() as tx:
        found = Explaining(tx.connection).explain(lambda tx: QUERIES[query](tx, after))
    assert [line for line in found if _looks_at_all(line)] == []


def _looks_at_all(line: str) -> bool:
    """Whether a step of a plan reads or sorts more rows than are asked for."""
    if line.startswith("SCAN "):
        # With an index it stops at the limit; the virtual table is the list of what is asked for.
        return not any(word in line for word in ("CONSTANT ROW", "VIRTUAL TABLE", "USING INDEX"))
    return any(word in line for word in ("TEMP B-TREE", "Seq Scan", "Sort", "Filter:"))
