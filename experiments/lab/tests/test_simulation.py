"""The simulation: what processes, time, crashes and standing still are in it."""

import pytest
from lab.simulation.holes import Hole
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


def test_a_process_is_killed_in_the_work_that_is_named_and_while_it_starts():
    works = ("relay", "POST /order")
    schedule = [[["crash", "order", "commit:after", work], ["order", "soda", 1], ["run", 4.0]] for work in works]
    broken, trace, _ = play("async-rabbitmq", [action for actions in schedule for action in actions])
    assert not broken
    assert [line.split("killed at ")[1] for line in trace if "killed at" in line] == [
        f"commit:after ({work})" for work in works
    ]
    _, trace, _ = play("sync-rest", [["crash", "order", "commit:after", "start"], ["run", 4.0]])
    assert any("killed at commit:after (start)" in line for line in trace)


def test_a_mistake_of_programming_in_a_loop_ends_the_run_at_once():
    """It is a hole in what the simulation puts in the place of a library, or a mistake in the reader's own code."""
    with pytest.raises(Hole, match=r"AttributeError: .*no_such_thing"):
        play("async-rabbitmq", [["order", "burger", 1], ["run", 1.0]], "a_hole")
