"""Reservations: all or nothing, idempotent by order, and never more than there is."""

import itertools
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from campus import stock
from campus.database import Database
from campus.orders import MENU, add_up
from hypothesis import given
from hypothesis import strategies as st


@pytest.fixture
def database(open_database):
    return open_database(stock.metadata)


def fill(database: Database, initial: str | None) -> None:
    with database.transaction() as tx:
        tx.execute("DELETE FROM stock")
        tx.execute("DELETE FROM reservations")
        stock.fill(tx, initial)


def reserve(database: Database, order_id: str, *, refuse: str | None = None, **lines: int) -> dict:
    items = add_up([{"sku": sku, "qty": qty} for sku, qty in lines.items()])
    with database.transaction() as tx:
        return stock.reserve(tx, order_id, items, refuse=refuse)


def release(database: Database, order_id: str) -> dict:
    with database.transaction() as tx:
        return stock.release(tx, order_id)


def change(database: Database, sku: str, **how: int) -> None:
    with database.transaction() as tx:
        stock.change(tx, sku, **how)


def levels(database: Database) -> dict[str, tuple[int, int, int]]:
    """Return `{sku: (initial, on_hand, reserved)}`."""
    with database.transaction() as tx:
        return {sku: (level["initial"], level["on_hand"], level["reserved"]) for sku, level in stock.levels(tx).items()}


def test_a_reservation_takes_every_line(database):
    fill(database, '{"burger": 5, "fries": 5}')
    verdict = reserve(database, "o1", burger=2, fries=1)
    assert verdict["status"] == stock.RESERVED
    assert "reason" not in verdict
    assert levels(database) == {"burger": (5, 3, 2), "fries": (5, 4, 1)}


@pytest.mark.parametrize(
    ("lines", "reason"),
    [
        ({"burger": 1, "soda": 6}, stock.INSUFFICIENT_STOCK),
        ({"burger": 1, "unicorn": 1}, stock.UNKNOWN_SKU),
        ({"burger": 6}, stock.INSUFFICIENT_STOCK),
    ],
)
def test_one_line_that_cannot_be_had_takes_nothing(database, lines, reason):
    fill(database, '{"burger": 5, "soda": 5}')
    verdict = reserve(database, "o1", **lines)
    assert (verdict["status"], verdict["reason"]) == (stock.FAILED, reason)
    assert levels(database) == {"burger": (5, 5, 0), "soda": (5, 5, 0)}


def test_the_last_piece_can_be_had(database):
    fill(database, '{"burger": 5}')
    assert reserve(database, "o1", burger=5)["status"] == stock.RESERVED
    assert reserve(database, "o2", burger=1)["reason"] == stock.INSUFFICIENT_STOCK
    assert levels(database) == {"burger": (5, 0, 5)}


@pytest.mark.promise("a-duplicates")
def test_a_second_call_answers_with_the_first_verdict(database):
    fill(database, '{"burger": 5}')
    first = reserve(database, "o1", burger=2)
    assert reserve(database, "o1", burger=2) == first
    assert reserve(database, "o1", burger=1, refuse="injected") == first
    assert levels(database) == {"burger": (5, 3, 2)}


def test_a_refusal_stays_a_refusal_when_stock_comes(database):
    fill(database, '{"burger": 0}')
    first = reserve(database, "o1", burger=1)
    change(database, "burger", add=5)
    assert reserve(database, "o1", burger=1) == first
    assert levels(database) == {"burger": (5, 5, 0)}


def test_an_injected_refusal_takes_nothing(database):
    fill(database, '{"burger": 5}')
    assert reserve(database, "o1", burger=1, refuse=stock.INJECTED)["reason"] == stock.INJECTED
    assert levels(database) == {"burger": (5, 5, 0)}


def test_release_gives_back_once(database):
    fill(database, '{"burger": 5}')
    reserve(database, "o1", burger=2)
    first = release(database, "o1")
    assert first["status"] == stock.RELEASED
    assert release(database, "o1") == first
    assert levels(database) == {"burger": (5, 5, 0)}


def test_a_released_order_cannot_reserve_again(database):
    fill(database, '{"burger": 5}')
    reserve(database, "o1", burger=2)
    release(database, "o1")
    assert reserve(database, "o1", burger=2)["status"] == stock.RELEASED
    assert levels(database) == {"burger": (5, 5, 0)}


@pytest.mark.promise("INV-5")
def test_a_release_that_comes_first_closes_the_order(database):
    fill(database, '{"burger": 5}')
    assert release(database, "o1")["status"] == stock.RELEASED
    assert reserve(database, "o1", burger=2)["status"] == stock.RELEASED
    assert levels(database) == {"burger": (5, 5, 0)}


def test_releasing_a_failed_order_keeps_its_verdict(database):
    fill(database, '{"burger": 0}')
    failed = reserve(database, "o1", burger=1)
    assert release(database, "o1") == failed
    assert levels(database) == {"burger": (0, 0, 0)}


def test_find_and_pages(database):
    fill(database, None)
    made = {order_id: reserve(database, order_id, burger=1) for order_id in ("o2", "o1", "o3")}
    with database.transaction() as tx:
        assert stock.find(tx, "o1") == made["o1"]
        assert stock.find(tx, "o9") is None
        assert [row["order_id"] for row in stock.page(tx, after="", limit=2)] == ["o2", "o1"]
        assert stock.page(tx, after="o1", limit=2) == [made["o3"]]


def test_set_and_add_leave_what_is_reserved(database):
    fill(database, '{"burger": 5}')
    reserve(database, "o1", burger=2)
    change(database, "burger", add=10)
    assert levels(database) == {"burger": (15, 13, 2)}
    change(database, "burger", put=1)
    assert levels(database) == {"burger": (3, 1, 2)}
    change(database, "burger", put=0)
    assert levels(database) == {"burger": (2, 0, 2)}


def test_stock_may_grow_beyond_32_bits(database):
    fill(database, '{"burger": 0}')
    for _ in range(3):
        change(database, "burger", add=1_000_000_000)
    assert levels(database) == {"burger": (3_000_000_000, 3_000_000_000, 0)}
    change(database, "burger", put=0)
    assert levels(database) == {"burger": (0, 0, 0)}


def test_a_new_sku_is_made(database):
    fill(database, '{"burger": 5}')
    change(database, "tea", add=3)
    change(database, "cake", put=4)
    assert levels(database) == {"burger": (5, 5, 0), "cake": (4, 4, 0), "tea": (3, 3, 0)}


def test_the_menu_is_filled_once(database):
    fill(database, None)
    assert levels(database) == dict.fromkeys(sorted(MENU), (100_000, 100_000, 0))
    reserve(database, "o1", burger=2)
    with database.transaction() as tx:
        stock.fill(tx, "7")
    assert levels(database)["burger"] == (100_000, 99_998, 2)


@pytest.mark.parametrize("initial", ["7", '{"burger": 7}', "0"])
def test_initial_stock_from_the_environment(database, initial):
    fill(database, initial)
    assert levels(database)["burger"] == (int(initial[-2] if "{" in initial else initial),) * 2 + (0,)


@pytest.mark.parametrize("initial", ["many", "-1", "1.5", "true", '{"burger": "5"}', '{"burger": -1}', "[1]"])
def test_a_bad_initial_stock_is_refused(database, initial):
    with pytest.raises(ValueError, match=r"INITIAL_STOCK must be a number"):
        fill(database, initial)


SKUS = st.sampled_from(["a", "b", "c"])
LINES = st.dictionaries(SKUS | st.just("unknown"), st.integers(1, 4), min_size=1, max_size=4)
ORDER_IDS = st.sampled_from([f"o{n}" for n in range(8)])
OPERATIONS = st.lists(
    st.tuples(st.just("reserve"), ORDER_IDS, LINES)
    | st.tuples(st.just("release"), ORDER_IDS)
    | st.tuples(st.just("add"), SKUS, st.integers(0, 3))
    | st.tuples(st.just("put"), SKUS, st.integers(0, 6)),
    max_size=30,
)


class Model:
    """What stock and reservations must be, in plain Python."""

    def __init__(self, on_hand: int) -> None:
        self.on_hand = dict.fromkeys("abc", on_hand)
        self.initial = dict(self.on_hand)
        self.held: dict[str, dict[str, int]] = {}
        self.verdicts: dict[str, str] = {}

    def reserve(self, order_id: str, lines: dict[str, int]) -> str:
        if order_id not in self.verdicts:
            enough = all(self.on_hand.get(sku, 0) >= qty for sku, qty in lines.items())
            self.verdicts[order_id] = stock.RESERVED if enough else stock.FAILED
            self.held[order_id] = lines if enough else {}
            for sku, qty in self.held[order_id].items():
                self.on_hand[sku] -= qty
        return self.verdicts[order_id]

    def release(self, order_id: str) -> str:
        for sku, qty in self.held.pop(order_id, {}).items():
            self.on_hand[sku] += qty
        if self.verdicts.get(order_id) != stock.FAILED:
            self.verdicts[order_id] = stock.RELEASED
        return self.verdicts[order_id]

    def add(self, sku: str, count: int) -> None:
        self.on_hand[sku] += count
        self.initial[sku] += count

    def put(self, sku: str, count: int) -> None:
        self.add(sku, count - self.on_hand[sku])

    def levels(self) -> dict[str, tuple[int, int, int]]:
        reserved = {sku: sum(lines.get(sku, 0) for lines in self.held.values()) for sku in "abc"}
        return {sku: (self.initial[sku], self.on_hand[sku], reserved[sku]) for sku in "abc"}


def apply(database: Database, model: Model, operation: tuple) -> tuple[str, str] | None:
    """Do the operation to both, and return both verdicts if it has one."""
    name, subject, *rest = operation
    if name == "reserve":
        return reserve(database, subject, **rest[0])["status"], model.reserve(subject, rest[0])
    if name == "release":
        return release(database, subject)["status"], model.release(subject)
    change(database, subject, **{name: rest[0]})
    return getattr(model, name)(subject, rest[0])


@pytest.mark.promise("INV-3")
@given(OPERATIONS, st.integers(0, 8))
def test_any_sequence_of_operations_agrees_with_the_model(database, operations, on_hand):
    fill(database, f'{{"a": {on_hand}, "b": {on_hand}, "c": {on_hand}}}')
    model = Model(on_hand)
    for operation in operations:
        verdicts = apply(database, model, operation)
        assert verdicts is None or verdicts[0] == verdicts[1], operation
        held = levels(database)
        assert held == model.levels(), operation
        assert all(initial == left + reserved and left >= 0 for initial, left, reserved in held.values())


@given(st.lists(st.tuples(ORDER_IDS, LINES), min_size=1, max_size=15))
def test_verdicts_stay_what_they_were(database, requests):
    fill(database, '{"a": 5, "b": 5, "c": 5}')
    first: dict[str, dict] = {}
    for order_id, lines in requests:
        verdict = reserve(database, order_id, **lines)
        assert verdict == first.setdefault(order_id, verdict)


def in_threads(count: int, work) -> list:
    """Run `work(n)` in so many threads at once and return what each gave or raised."""
    results, start = [None] * count, threading.Barrier(count)

    def run(n: int) -> None:
        start.wait()
        try:
            results[n] = work(n)
        except Exception as error:  # told to the test
            results[n] = error

    threads = [threading.Thread(target=run, args=(n,)) for n in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return results


@pytest.mark.promise("INV-3")
def test_concurrent_reservations_never_oversell(database):
    fill(database, '{"a": 20, "b": 1000}')
    numbers = itertools.count()

    def buy(_: int) -> list[str]:
        return [reserve(database, f"o{next(numbers)}", a=1, b=2)["status"] for _ in range(10)]

    verdicts = [verdict for bought in in_threads(8, buy) for verdict in bought]
    assert (verdicts.count(stock.RESERVED), verdicts.count(stock.FAILED)) == (20, 60)
    assert levels(database) == {"a": (20, 0, 20), "b": (1000, 960, 40)}


@pytest.mark.promise("INV-2")
def test_concurrent_reservations_of_one_order_take_it_once(database):
    fill(database, '{"a": 20}')
    verdicts = in_threads(8, lambda _: reserve(database, "o1", a=3))
    assert all(verdict == verdicts[0] for verdict in verdicts)
    assert levels(database) == {"a": (20, 17, 3)}


@pytest.mark.promise("INV-3")
def test_concurrent_reserve_and_release_leave_nothing_half_done(database):
    fill(database, '{"a": 100, "b": 100}')

    def both(n: int) -> str:
        order_id = f"o{n // 2}"
        return (reserve(database, order_id, a=1, b=1) if n % 2 else release(database, order_id))["status"]

    assert set(in_threads(16, both)) <= {stock.RESERVED, stock.RELEASED}
    assert levels(database) == {"a": (100, 100, 0), "b": (100, 100, 0)}


def test_replicas_that_reserve_in_batches_do_not_wait_for_each_other_in_a_circle(cluster):
    def work(replica: int) -> None:
        """Reserve in batches of all skus, the one replica in this order, the other in that."""
        for n in range(20):
            orders = [[{"sku": sku, "qty": 1}] for sku in MENU[:: (1, -1)[replica]]]
            with databases[replica].transaction() as tx:
                stock.lock(tx, orders)
                for sku, items in enumerate(orders):
                    stock.reserve(tx, f"o{replica}-{n}-{sku}", items)

    with cluster.database() as url:
        databases = [Database(url, stock.metadata) for _ in range(2)]
        fill(databases[0], None)
        with ThreadPoolExecutor(2) as pool:
            list(pool.map(work, range(2)))
        assert levels(databases[0]) == dict.fromkeys(MENU, (100_000, 99_960, 40))
        for database in databases:
            database.close()
