"""Small spaces, searched completely: every placement of crashes, and every order in which the processes work."""

import time
from collections.abc import Callable, Iterator

from lab.simulation.explore import Counterexample, Exploration, Explorer
from lab.simulation.part import Action
from lab.simulation.process import service_of
from lab.simulation.verdict import SENTINEL, decide

ONE_ORDER: list[Action] = [["order", "burger", 1], ["run", 4.0]]
TWO_ORDERS: list[Action] = [["order", "burger", 1], ["order", "pizza", 2], ["run", 4.0]]
# The moves of the last search, beside one round of each process.
PLACE: list[Action] = [["order", "burger", 1], ["order", "pizza", 2]]

# A space: its name, and the schedules in it. `play` plays one and returns how many effects it passed before healing.
Space = Callable[[Callable[[list[Action]], int]], Iterator[None]]


def search(explorer: Explorer, progress: Callable[[Exploration], None] = lambda _: None) -> list[tuple[str, int]]:
    """Play every schedule of the small spaces; return the name and the size of each, up to the first violation.

    What was found, and the figures of all, are in `explorer.result`.
    """
    sizes: list[tuple[str, int]] = []
    processes = [name for name in explorer.simulation.part.apps if name == service_of(name)]
    spaces: list[tuple[str, Space]] = [
        ("up to 2 crashes, 1 order", lambda play: _crashes(play, ONE_ORDER, 2)),
        ("up to 1 crash, 2 orders", lambda play: _crashes(play, TWO_ORDERS, 1)),
        ("every order of work, 2 orders", lambda play: _orders_of_work(play, processes)),
    ]
    for name, space in spaces:
        before = explorer.result.schedules
        for _ in space(lambda schedule: _play(explorer, schedule)):
            progress(explorer.result)
            if explorer.result.found:
                break
        sizes.append((name, explorer.result.schedules - before))
        if explorer.result.found:
            break
    return sizes


def _play(explorer: Explorer, schedule: list[Action]) -> int:
    sim, result, began = explorer.simulation, explorer.result, time.process_time()
    sim.play(schedule)
    effects = sim.effects
    violations = decide(sim)
    result.schedules += 1
    result.orders += sum(op != SENTINEL for op in sim.clients.results)
    result.effects += sim.effects
    result.seconds += time.process_time() - began
    if violations and result.found is None:
        trace = list(sim.trace.entries)
        result.found = Counterexample(
            result.part, result.file, 0, schedule, schedule, violations, trace, result.seconds, 0
        )
    return effects


def _crashes(play: Callable[[list[Action]], int], schedule: list[Action], most: int) -> Iterator[None]:
    """Play a schedule with a crash at each of its effects, and with a second one at each effect behind that."""

    def go_on(at: tuple[int, ...]) -> Iterator[None]:
        effects = play([*(["crash_at", n] for n in at), *schedule])
        yield
        if len(at) < most:
            for n in range(at[-1] + 1 if at else 1, effects + 1):
                yield from go_on((*at, n))

    return go_on(())


def _orders_of_work(play: Callable[[list[Action]], int], processes: list[str]) -> Iterator[None]:
    """Play every sequence of rounds in which each round does something, and the orders come at any time."""
    moves: list[Action] = [["step", name] for name in processes]

    def go_on(done: list[Action], placed: int, effects: int) -> Iterator[None]:
        choices = [*(PLACE[placed : placed + 1]), *moves]
        for move in choices:
            passed = play([*done, move])
            yield
            if passed > effects or move in PLACE:
                yield from go_on([*done, move], placed + (move in PLACE), passed)

    return go_on([], 0, 0)
