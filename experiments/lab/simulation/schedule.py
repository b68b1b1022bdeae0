"""Schedules: which actions there are, which of them a seed knows, and how Hypothesis draws and shrinks them."""

import random
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from hypothesis import strategies as st

from lab.simulation.core import EFFECTS, Point
from lab.simulation.part import Action, SimulatedPart
from lab.simulation.process import service_of

# What is no fault: these may be drawn as often as they come.
HARMLESS = ("order", "step", "run", "start")
ORDERS = [["order", sku, qty] for sku, qty in (("burger", 1), ("pizza", 3), ("soda", 2), ("caviar", 1))]
# Two of these are two tries of one client, who uses one Idempotency-Key.
KEYED = [["order", "burger", 1, "k1"]]
SECONDS = (1.0, 4.0, 16.0)
FAULTS = (
    {"failure_rate": 1.0, "failure_mode": "error", "expires_in": 2.0},
    {"failure_rate": 1.0, "failure_mode": "drop", "expires_in": 2.0},
    {"failure_rate": 1.0, "failure_mode": "reject", "expires_in": 0.5},
    {"crash_point": "after_commit"},
)
# Played first, to see which points the services pass; and those of the part.
SCOUTS: list[list[Action]] = [
    [["order", "burger", 1], ["run", 2.0]],
    [["configure", "inventory", FAULTS[0]], ["order", "burger", 1], ["run", 4.0]],
]
WEIGHTS = (0, 0, 1, 3)  # how much of a kind one seed knows: few kinds often meet what many meet rarely
ENTRIES = 3  # in the table of actions, for each weight


@dataclass(frozen=True)
class Bounds:
    """How large a schedule may be."""

    orders: int = 3
    faults: int = 3
    actions: int = 30


def kinds(part: SimulatedPart, points: Collection[Point]) -> dict[str, Sequence[Action]]:
    """Return all actions of a part, by their kind, each kind simplest first.

    `points` are those that its services pass. A process can crash or stand still only there; inside a transaction it
    does not stand still, as all others would wait for the database.
    """
    processes, effects = list(part.apps), part_effects(part)
    passed = sorted(points, key=lambda point: (effects.index(point[2]), point))
    still = [
        (name, effect)
        for name in processes
        for effect in effects
        if effect != "commit:before" and any(point[::2] == (service_of(name), effect) for point in passed)
    ]
    common: dict[str, Sequence[Action]] = {
        "kill": [["kill", name] for name in processes],
        "crash": [
            ["crash", name, effect, doing]
            for name in processes
            if name == service_of(name) or name in part.replicas
            for service, doing, effect in passed
            if service == service_of(name)
        ],
        "hold": [["hold", *where, n, s] for n in (1, 3) for s in (0.01, 12.0) for where in still],
        "freeze": [["freeze", *where, n, s] for n in (1, 3) for s in (0.5, 70.0) for where in still],
        "disk": [["disk", name, fails] for name in processes for fails in (True, True, False)],
        "configure": [["configure", name, faults] for name in processes for faults in FAULTS],
        "clock": [["clock", hours] for hours in (-5.0, 5.0)],
        "keyed": KEYED,
        "twice": [["twice", "burger", 1, "k2"]],
    }
    return common | dict(part.actions)


def part_effects(part: SimulatedPart) -> tuple[str, ...]:
    """Return the names of all effects of a part."""
    return (*EFFECTS, *part.effects)


def table(part: SimulatedPart, known_kinds: Mapping[str, Sequence[Action]], seed: int) -> list[Action]:
    """Return the actions that this seed knows, simplest first. One that stands there twice is drawn twice as often.

    That is swarm testing: each seed leaves out most kinds of faults.
    """
    chance, processes = random.Random(seed), list(part.apps)
    known: list[Action] = [*ORDERS[:1] * 3, *ORDERS[1:3], ORDERS[0]]
    known += [["run", seconds] for seconds in SECONDS for _ in range(2)]
    known += [["step", name] for name in processes] + [["start", name] for name in processes]
    if chance.random() < 0.1:
        known.append(ORDERS[3])
    for kind, actions in known_kinds.items():
        chance.seed(f"{seed} {kind}")  # so that a new kind changes nothing of the others
        count = ENTRIES * chance.choice(WEIGHTS)
        known += sorted(chance.choices(actions, k=count), key=actions.index) if count and actions else []
    return known


def schedules(actions: Sequence[Action], bounds: Bounds) -> st.SearchStrategy[list[Action]]:
    """Return the schedules of these actions, for Hypothesis.

    A schedule is drawn as a fixed number of numbers, of which 0 is no action: so Hypothesis shrinks it by taking any
    actions out, and by exchanging each for a simpler one.
    """
    number = st.integers(0, len(actions))
    numbers = st.lists(number, min_size=bounds.actions, max_size=bounds.actions)
    return numbers.map(lambda drawn: within([actions[n - 1] for n in drawn if n], bounds))


def within(schedule: Sequence[Action], bounds: Bounds) -> list[Action]:
    """Leave out the orders and the faults that are too many."""
    kept: list[Action] = []
    left = {"order": bounds.orders, "fault": bounds.faults}
    for action in schedule:
        counted = "order" if action[0] == "order" else None if action[0] in HARMLESS else "fault"
        if counted is None or left[counted] > 0:
            kept.append(action)
            left[counted or ""] = left.get(counted or "", 0) - 1
    return kept
