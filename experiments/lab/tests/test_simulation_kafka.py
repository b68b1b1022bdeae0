"""Part C in the simulation: its faults, LOG-1, and the mistakes that only LOG-1 sees."""

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import pytest
from simulated import explore, play

PART = "streaming-kafka"
MISTAKES = Path(__file__).with_name("mistakes")
BROKEN = Path(__file__).resolve().parents[2] / "broken"
# A zombie: inventory stands still for longer than its session, between its work and its transaction; a replica gets its
# partitions, and does the work again.
ZOMBIE = [
    ["start", "inventory-2"], ["run", 4.0], ["order", "burger", 1], ["order", "burger", 1], ["order", "burger", 1],
    ["freeze", "inventory", "commit:after", 1, 12.0], ["run", 1.0], ["run", 16.0],
]  # fmt: skip
# Each mistake: the promise that it breaks, and a schedule that the exploration found and shrunk.
ORDER = ["order", "burger", 1]
PLANTED = {
    BROKEN / "offsets_first.py": ("INV-1", [ORDER, ["disk", "inventory", True], ["run", 1.0]]),
    BROKEN / "counts_twice.py": ("INV-8", [ORDER, ["double", 0]]),
    BROKEN / "no_acks.py": ("INV-1", [["broker", False], ORDER, ["run", 4.0]]),
    MISTAKES / "without_memory.py": ("LOG-1", [ORDER, ["double", 0]]),
    MISTAKES / "without_transactions.py": ("LOG-1", [["evict", "inventory"]]),
    MISTAKES / "without_fencing.py": ("LOG-1", ZOMBIE),
}


def fresh():
    """Return a process of its own: a simulation replaces functions for good."""
    return ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn"))


@pytest.fixture(scope="module")
def right():
    """What plays schedules with the right code."""
    with fresh() as pool:
        yield lambda schedule: pool.submit(play, PART, schedule).result(60)


@pytest.mark.parametrize("file", PLANTED, ids=lambda path: path.stem)
def test_a_planted_mistake_breaks_its_promise_and_the_right_code_does_not(right, file):
    promise, schedule = PLANTED[file]
    with fresh() as pool:
        broken, *_ = pool.submit(play, PART, schedule, file).result(60)
    assert promise in broken
    assert not right(schedule)[0]


@pytest.mark.long
@pytest.mark.timeout(600)
@pytest.mark.parametrize("file", PLANTED, ids=lambda path: path.stem)
def test_a_planted_mistake_is_found_and_shrunk(file):
    with fresh() as pool:
        found, schedule = pool.submit(explore, PART, file, 600).result(500)
    assert PLANTED[file][0] in found
    assert len(schedule) <= 6


def test_the_transaction_of_a_zombie_is_refused(right):
    broken, trace, _ = right(ZOMBIE)
    assert not broken
    assert any("evicts inventory-consumer-group-inventory-1" in line for line in trace)
    assert any("inventory-2 -> kafka: message inventory-events" in line for line in trace)


def test_two_processes_play_a_seed_equally_event_for_event(right):
    schedule = [["start", "inventory-2"], ["start", "order-2"], ["apart", "inventory", 12.0], *ZOMBIE[2:], ["reset"]]
    with fresh() as other:
        assert other.submit(play, PART, schedule).result(60) == right(schedule)
