"""The simulation: what processes, time, crashes and standing still are in it."""

import pytest
from lab.simulation.parts import NAMES
from simulated import play


@pytest.mark.parametrize("part", NAMES)
def test_an_order_is_placed_reserved_and_notified(part):
    broken, trace, points = play(part, [["order", "burger", 2], ["run", 2.0]])
    assert not broken
    assert any("client -> order: call POST /order 2 burger" in line for line in trace)
    assert {service for service, _, _ in points} >= {"order", "inventory", "notification"}


@pytest.mark.parametrize("part", NAMES)
def test_two_runs_of_a_schedule_are_equal_event_for_event(part):
    schedule = [
        ["order", "burger", 2], ["hold", "order", "commit:after", 2, 0.01], ["order", "pizza", 3],
        ["kill", "inventory"], ["run", 1.0], ["crash", "notification", "commit:before"], ["start", "inventory"],
        ["order", "soda", 1], ["run", 4.0],
    ]  # fmt: skip
    first, second = play(part, schedule), play(part, schedule)
    assert first == second
    assert any("stands still" in line for line in first[1])


@pytest.mark.parametrize("part", NAMES)
def test_a_crash_after_a_commit_loses_memory_and_keeps_the_disk(part):
    broken, trace, _ = play(part, [["crash", "inventory", "commit:after"], ["order", "burger", 2], ["run", 4.0]])
    assert not broken
    assert sum("killed at commit:after" in line for line in trace) == 1
