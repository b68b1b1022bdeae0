"""Exploring: schedules are drawn and played, and the first one that breaks a promise is made as short as possible."""

import hashlib
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import hypothesis
from hypothesis import HealthCheck, Phase

from lab.simulation.code import Code
from lab.simulation.core import Point, Simulation
from lab.simulation.part import Action
from lab.simulation.parts import make
from lab.simulation.schedule import SCOUTS, Bounds, kinds, schedules, table
from lab.simulation.verdict import SENTINEL, Violation, decide
from lab.trace.entries import Entry

SAMPLE = 100  # of each so many seeds one is kept as a digest, and can be compared when it is played again
AIM_AFTER = 1000  # schedules: chance has had its chance
BATCH = 10  # schedules of one seed: many seeds, as each knows other kinds of faults
SETTINGS: dict[str, Any] = {
    "database": None,
    "deadline": None,
    "report_multiple_bugs": False,
    "suppress_health_check": list(HealthCheck),
}


@dataclass(frozen=True)
class Counterexample:
    """A schedule that breaks a promise, as short as it could be made."""

    part: str
    file: str | None  # the broken version, or None for the services as they are
    seed: int
    drawn: list[Action]
    schedule: list[Action]
    violations: list[Violation]
    trace: list[Entry]
    seconds: float  # of processor time, until it was found
    replays: int  # to make it shorter


@dataclass
class Exploration:
    """What was explored, and what was found."""

    part: str
    file: str | None = None
    first_seed: int = 0
    seeds: int = 0
    schedules: int = 0
    orders: int = 0
    effects: int = 0
    seconds: float = 0.0  # of processor time
    points: set[Point] = field(default_factory=set)
    crashes: set[Point] = field(default_factory=set)
    found: Counterexample | None = None
    aimed: int = 0  # further schedules, at points that no drawn one had crashed at
    samples: dict[int, str] = field(default_factory=dict)  # of some seeds: the digest of all that happened


class _Broken(Exception):
    """A promise is broken: Hypothesis makes the schedule shorter as long as this is raised."""


class Explorer:
    """Explores one part with one version of its code, in this process."""

    def __init__(
        self, part: str, file: Path | None = None, *, bounds: Bounds | None = None, replicas: bool = False
    ) -> None:
        self.bounds = bounds or Bounds()
        self.simulation = Simulation(make(part), Code(file), replicas=replicas)
        self.result = Exploration(part, file.stem if file else None)
        self.result.points, self.result.crashes = self.simulation.points, self.simulation.crashes
        self._passes: dict[Point, list[Action]] = {}  # a scout for each point
        for schedule in [*SCOUTS, *self.simulation.part.scouts]:
            self.play(schedule)
            for point in self.simulation.points - self._passes.keys():
                self._passes[point] = schedule
        self.kinds = kinds(self.simulation.part, self.simulation.points)

    def go_on(self, said: dict[str, Any]) -> None:
        """Count what these figures say was explored before, if all sampled seeds come out equally now; else begin anew.

        Then `explore` goes on behind the last seed, and what it is told (first seed, schedules, seconds) is of all.
        """
        samples = {int(seed): digest for seed, digest in said["samples"].items()}
        equal = not said["violations"] and samples and all(self.sample(seed) == samples[seed] for seed in [*samples])
        first, last = said["seeds"]
        result = self.result
        result.seeds = last - first + 1 if equal else 0
        for name in ("schedules", "aimed", "orders", "effects"):
            setattr(result, name, said[name] if equal else 0)
        result.seconds = said["processor_seconds"] if equal else 0.0
        result.samples = samples if equal else {}
        result.crashes.clear()
        result.crashes.update(tuple(point.split(" · ")) for point in said["crash_points"] if equal)

    def explore(
        self,
        *,
        seed: int,
        most: int | None = None,
        seconds: float | None = None,
        progress: Callable[[Exploration], None] = lambda _: None,
    ) -> Exploration:
        """Explore from this seed on: so many schedules, or for so many seconds, or until one breaks a promise.

        Seconds are processor time, so that a busy machine explores no less.
        """
        result, cpu = self.result, time.process_time() - self.result.seconds
        result.first_seed = seed
        while result.found is None:
            left = BATCH if most is None else min(BATCH, most - result.schedules)
            if left <= 0 or (seconds is not None and time.process_time() - cpu >= seconds):
                break
            result.found = self._explore_seed(seed + result.seeds, left, began=cpu)
            result.seeds += 1
            result.seconds = result.found.seconds if result.found else time.process_time() - cpu
            progress(result)
        if result.schedules >= AIM_AFTER and not result.found:
            self._aim()
        return result

    def _aim(self) -> None:
        """Kill a process at each point at which chance has killed none: in a scout that passes it, or as it begins."""
        result = self.result
        for point in sorted(result.points - result.crashes):
            service, doing, effect = point
            crash: Action = ["crash", service, effect, doing]
            for schedule in (
                [crash, *self._passes.get(point, [])],
                [["kill", service], crash, ["start", service], ["run", 16.0]],
            ):
                if point in result.crashes or result.found:
                    break
                violations = self.play(schedule)
                result.aimed += 1
                if violations:
                    trace = list(self.simulation.trace.entries)
                    result.found = Counterexample(
                        result.part, result.file, -1, schedule, schedule, violations, trace, result.seconds, 0
                    )

    def sample(self, seed: int) -> str:
        """Play the schedules of one seed of SAMPLE, and return the digest of all that happened."""
        self._explore_seed(seed, BATCH, began=0.0)
        return self.result.samples.get(seed, "a promise is broken")

    def _explore_seed(self, seed: int, most: int, *, began: float) -> Counterexample | None:
        actions = table(self.simulation.part, self.kinds, seed)
        failing: list[list[Action]] = []
        target: list[str] = []
        found_after, replays = 0.0, 0
        digest = hashlib.sha256() if seed % SAMPLE == 0 and most == BATCH else None

        def attempt(schedule: list[Action]) -> None:
            nonlocal found_after, replays
            broken = [violation.id for violation in self.play(schedule)]
            if target:
                replays += 1
            else:
                self.result.schedules += 1
                self.result.orders += len(self.simulation.clients.results) - (
                    SENTINEL in self.simulation.clients.results
                )
                self.result.effects += self.simulation.effects
                if digest:
                    digest.update("\n".join(self.simulation.trace.lines()).encode())
            if broken and (not target or target[0] in broken):
                if not target:
                    target.append(broken[0])
                    found_after = time.process_time() - began
                failing.append(schedule)
                raise _Broken

        settings = hypothesis.settings(max_examples=most, phases=[Phase.generate, Phase.shrink], **SETTINGS)
        try:
            hypothesis.seed(seed)(settings(hypothesis.given(schedules(actions, self.bounds))(attempt)))()
        except _Broken:
            short = self._simplify(failing[-1], target[0])  # Hypothesis plays the shortest one last
            violations = self.play(short)
            return Counterexample(
                self.result.part, self.result.file, seed, failing[0], short, violations,
                list(self.simulation.trace.entries), found_after, replays,
            )  # fmt: skip
        if digest:
            self.result.samples[seed] = digest.hexdigest()[:16]
        return None

    def _simplify(self, schedule: list[Action], target: str) -> list[Action]:
        """Put for each action the simplest one of its kind with which the promise is still broken.

        Hypothesis knows only the actions of its seed.
        """
        for n, action in enumerate(schedule):
            simpler = list(self.kinds.get(action[0], ()))
            for other in simpler[: simpler.index(action)] if action in simpler else ():
                changed = [*schedule[:n], other, *schedule[n + 1 :]]
                if target in [violation.id for violation in self.play(changed)]:
                    schedule = changed
                    break
        return schedule

    def play(self, schedule: list[Action]) -> list[Violation]:
        """Play one schedule and return the promises that it breaks."""
        self.simulation.play(schedule)
        return decide(self.simulation)
