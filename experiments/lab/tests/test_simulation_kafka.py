"""Part C in the simulation: its faults, LOG-1, and the mistakes that only LOG-1 sees."""

import pytest
from simulated import play

PART = "streaming-kafka"
ORDER = ["order", "burger", 1]
# A zombie: inventory stands still for longer than its session, between its work and its transaction; a replica gets its
# partitions, and does the work again.
ZOMBIE = [
    ["start", "inventory-2"], ["run", 4.0], ORDER, ORDER, ORDER,
    ["freeze", "inventory", "commit:after", 1, 12.0], ["run", 1.0], ["run", 16.0],
]  # fmt: skip
# Each mistake: the promise that it breaks, and a short schedule.
PLANTED = {
    "offsets_first": ("INV-1", [ORDER, ["disk", "inventory", True], ["run", 1.0]]),
    "counts_twice": ("INV-8", [ORDER, ["double", 0]]),
    "no_acks": ("INV-1", [["broker", False], ORDER, ["run", 4.0]]),
    "without_memory": ("LOG-1", [ORDER, ["double", 0]]),
    "without_transactions": ("LOG-1", [["evict", "inventory"]]),
    "without_fencing": ("LOG-1", ZOMBIE),
}


@pytest.mark.parametrize("version", PLANTED)
def test_a_planted_mistake_breaks_its_promise_and_the_right_code_does_not(version):
    promise, schedule = PLANTED[version]
    broken, *_ = play(PART, schedule, version)
    assert promise in broken
    assert not play(PART, schedule)[0]


def test_an_order_refused_under_a_key_whose_first_try_failed_is_not_looked_for_in_the_log():
    """The exploration found it (seed 1170): the checker expected that analytics had counted the order."""
    order, fails = [*ORDER, "k1"], {"failure_rate": 1.0, "failure_mode": "error"}
    refuses = {"failure_rate": 1.0, "failure_mode": "reject"}
    assert not play(PART, [["configure", "order", fails], order, ["configure", "order", refuses], order])[0]


def test_the_transaction_of_a_zombie_is_refused():
    broken, trace, _ = play(PART, ZOMBIE)
    assert not broken
    assert any("evicts inventory-consumer-group-inventory-1" in line for line in trace)
    assert any("inventory-2 -> kafka: message inventory-events" in line for line in trace)


def test_two_processes_play_a_schedule_equally_event_for_event():
    """Each has its own order of sets: Python draws it anew for each process."""
    schedule = [["start", "inventory-2"], ["start", "order-2"], ["apart", "inventory", 12.0], *ZOMBIE[2:], ["reset"]]
    one, other = play(PART, schedule), play(PART, schedule, "counts_twice")
    assert one[1] == other[1]
