"""The steps that a process must still take, with a clock that stands still: whose they are, and when they are due."""

import time
from types import SimpleNamespace

import pytest
from campus import order_store, pending
from campus.orders import FAILED, Order
from campus.pending import LEASE_ROUNDS, LEASE_SECONDS, ROUND, ROUND_SECONDS, PendingSteps

BURGER = [{"sku": "burger", "qty": 1}]


class Processes:
    """Processes on one database, each with steps of its own."""

    def __init__(self, database) -> None:
        self.database, self.clock = database, SimpleNamespace(now=1000.0)

    def start(self) -> PendingSteps:
        return PendingSteps(self.database, clock=lambda: self.clock.now)

    def place(self, process: PendingSteps, step: str = "ask") -> Order:
        order = Order.place(user_id="u1", items=BURGER)
        with self.database.transaction() as tx:
            return order_store.place(tx, order, key=None, pending_step=process.step(step))

    def rows(self) -> int:
        with self.database.transaction() as tx:
            return tx.execute("SELECT count(*) FROM owners").fetchone()[0]


@pytest.fixture
def processes(open_database):
    return Processes(open_database(order_store.metadata, pending.metadata))


def ids(orders) -> list[str]:
    return [order.order_id for order in orders]


def test_a_process_finds_its_own_steps_and_nobody_elses(processes):
    one, two = processes.start(), processes.start()
    ours, theirs = processes.place(one), processes.place(two)
    assert (ids(one.due("ask")), ids(two.due("ask"))) == ([ours.order_id], [theirs.order_id])
    assert ids(one.due("notify")) == []


def test_what_a_request_holds_is_not_due(processes):
    process, order = processes.start(), None
    with process.held("another"):
        order = processes.place(process)
        assert ids(process.due("ask")) == [order.order_id]
    with process.held(order.order_id):
        assert ids(process.due("ask")) == []
    assert ids(process.due("ask")) == [order.order_id]


def test_a_request_that_ends_while_a_round_goes_on_leaves_its_order_to_the_next(processes):
    process = processes.start()
    first, second = processes.place(process), processes.place(process)
    with process.held(second.order_id):
        the_round = process.due("ask")
        assert next(the_round) == first
        processes.clock.now += 0.1
    assert ids(the_round) == []  # it has read what was true before
    processes.clock.now += 0.1
    assert ids(process.due("ask")) == ids([first, second])


def test_a_postponed_order_is_due_when_its_time_has_come(processes):
    process = processes.start()
    order = processes.place(process)
    process.postpone(order.order_id, 5.0)
    processes.clock.now += 4.9
    process.renew()
    assert ids(process.due("ask")) == []
    processes.clock.now += 0.1
    assert ids(process.due("ask")) == [order.order_id]


@pytest.mark.parametrize("hours", [-1, 1])
def test_a_wall_clock_that_is_set_changes_nothing(processes, monkeypatch, hours):
    process = PendingSteps(processes.database)  # with the real clock
    order = processes.place(process)
    process.postpone(order.order_id, 0.2)
    set_clock = time.time() + 3600 * hours
    monkeypatch.setattr(time, "time", lambda: set_clock)
    assert ids(process.due("ask")) == []
    time.sleep(0.25)
    assert ids(process.due("ask")) == [order.order_id]


def test_the_next_round_goes_on_after_the_last_order_that_was_taken(processes):
    process = processes.start()
    one, two, three = (processes.place(process) for _ in range(3))
    assert next(process.due("ask")) == one
    assert ids(process.due("ask")) == ids([two, three, one])
    assert next(process.due("ask")) == two
    four = processes.place(process)
    assert ids(process.due("ask")) == ids([three, four, one, two])


def test_orders_that_cannot_be_done_hold_up_nobody(processes):
    process = processes.start()
    for order in [processes.place(process) for _ in range(ROUND)]:
        process.postpone(order.order_id, 60.0)
    last = processes.place(process)
    assert ids(process.due("ask")) == []
    assert ids(process.due("ask")) == [last.order_id]


def test_a_round_ends_after_its_time(processes):
    process = processes.start()
    one, two = processes.place(process), processes.place(process)
    the_round = process.due("ask")
    assert next(the_round) == one
    processes.clock.now += ROUND_SECONDS + 0.1
    assert ids(the_round) == []
    assert ids(process.due("ask")) == ids([two, one])


def test_orders_of_a_process_that_stands_still_are_taken_over_and_not_earlier(processes):
    dead = processes.start()
    order, settled = processes.place(dead), processes.place(dead)
    with processes.database.transaction() as tx:
        order_store.save(tx, settled, settled.advance(FAILED), step="ask", pending_step=None)
    heir = processes.start()
    for _ in range(LEASE_ROUNDS - 1):
        heir.renew()
    assert ids(heir.due("ask")) == []
    heir.renew()
    assert ids(heir.due("ask")) == [order.order_id]
    assert processes.rows() == 1


def test_a_process_that_renews_its_lease_keeps_its_orders(processes):
    one, two = processes.start(), processes.start()
    order = processes.place(one)
    for _ in range(LEASE_ROUNDS + 3):
        one.renew()
        two.renew()
    assert (ids(one.due("ask")), ids(two.due("ask"))) == ([order.order_id], [])


def test_a_sign_of_life_begins_the_lease_anew(processes):
    one, two = processes.start(), processes.start()
    order = processes.place(one)
    for _ in range(2):
        for _ in range(LEASE_ROUNDS - 1):
            two.renew()
        one.renew()
        two.renew()
    assert ids(one.due("ask")) == [order.order_id]


def test_a_database_that_is_away_is_not_held_against_the_others(processes):
    """No round counts that did not see the other's row."""
    one, two = processes.start(), processes.start()
    order = processes.place(one)
    working, two._database = two._database, SimpleNamespace(transaction=lambda: 1 / 0)
    for _ in range(2 * LEASE_ROUNDS):
        with pytest.raises(ZeroDivisionError):
            two.renew()
    two._database = working
    two.renew()
    assert ids(one.due("ask")) == [order.order_id]


def test_a_process_that_was_taken_for_dead_goes_on_with_what_it_places_from_then_on(processes):
    frozen, heir = processes.start(), processes.start()
    old = processes.place(frozen)
    for _ in range(LEASE_ROUNDS):
        heir.renew()
    frozen.renew()
    new = processes.place(frozen)
    assert (ids(frozen.due("ask")), ids(heir.due("ask"))) == ([new.order_id], [old.order_id])


def test_an_order_whose_owner_has_no_row_is_taken_over_too(processes):
    """A process that was taken for dead went on, placed an order, and was killed before it renewed its lease."""
    frozen, heir = processes.start(), processes.start()
    for _ in range(LEASE_ROUNDS):
        heir.renew()
    order = processes.place(frozen)
    heir = processes.start()
    for _ in range(LEASE_ROUNDS + 1):
        heir.renew()
    assert ids(heir.due("ask")) == [order.order_id]


def test_two_heirs_share_nothing(processes):
    dead = processes.start()
    orders = [processes.place(dead) for _ in range(5)]
    heirs = [processes.start(), processes.start()]
    for _ in range(LEASE_ROUNDS + 1):
        for heir in heirs:
            heir.renew()
    assert sorted(ids(heirs[0].due("ask")) + ids(heirs[1].due("ask"))) == ids(orders)


def test_a_process_owns_its_orders_as_long_as_its_lease_lasts(processes):
    process = processes.start()
    processes.clock.now += LEASE_SECONDS - 0.1
    assert process.owns()
    processes.clock.now += 0.2
    assert not process.owns()
    process.renew()
    assert process.owns()


def test_what_was_postponed_is_forgotten_in_time(processes):
    process = processes.start()
    for n in range(100):
        with process.held(f"o{n}"):
            pass
    processes.clock.now += ROUND_SECONDS + 0.1
    process.renew()
    assert not process._not_before
    assert not process._held


def test_an_order_of_a_process_that_was_taken_for_dead_and_then_died_is_taken_over(processes):
    frozen, other = processes.start(), processes.start()
    for _ in range(LEASE_ROUNDS + 2):
        other.renew()
    order = processes.place(frozen)  # it goes on, and dies before it renews its lease
    for _ in range(LEASE_ROUNDS + 2):
        other.renew()
    assert ids(other.due("ask")) == [order.order_id]
