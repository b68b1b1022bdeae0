"""What runs in the process of a part: two parts have packages of the same name, and a simulation replaces the clock."""

import atexit
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from functools import cache
from pathlib import Path
from typing import Any

from lab.paths import ROOT
from lab.simulation import pages
from lab.simulation.code import Code
from lab.simulation.core import Simulation
from lab.simulation.explore import Exploration, Explorer
from lab.simulation.part import Action
from lab.simulation.parts import make
from lab.simulation.verdict import decide

_made: dict[str, Simulation] = {}


@cache
def process_of(part: str, version: str = "") -> ProcessPoolExecutor:
    """Return the process in which one version of a part's code runs."""
    pool = ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn"))
    atexit.register(pool.shutdown)
    return pool


def file_of(version: str) -> Path | None:
    """Return the file of a broken version, or of a mistake that only these tests have; None for the right code."""
    if not version:
        return None
    planted = Path(__file__).with_name("mistakes") / f"{version}.py"
    return planted if planted.exists() else ROOT / f"experiments/broken/{version}.py"


def play(part: str, schedule: list[Action], version: str = "") -> tuple[list[str], list[str], set]:
    """Play a schedule in the part's process; return the violations, the trace, and the points passed so far."""
    return process_of(part, version).submit(_play, part, schedule, version).result(60)


def _play(part: str, schedule: list[Action], version: str) -> tuple[list[str], list[str], set]:
    if part not in _made:
        _made[part] = Simulation(make(part), Code(file_of(version)))
    sim = _made[part]
    sim.play(schedule)
    found = decide(sim)
    return [violation.id for violation in found], list(sim.trace.lines()), sim.points


def page_again(part: str, version: str, page: str) -> str:
    """Return the page of a broken version with its schedule played again, in a process of its own."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_page_again, part, version, page).result(110)


def _page_again(part: str, version: str, page: str) -> str:
    schedule, sim = pages.schedule_in(page), Simulation(make(part), Code(file_of(version)))
    sim.play(schedule)
    violations = decide(sim)
    return pages.with_schedule(page, sim.part, version, schedule, violations, sim.trace.entries)


def explore(part: str, *, version: str = "", **options: Any) -> Exploration:
    """Explore a part in a process of its own; go on with `before`, the figures of earlier schedules, if given."""
    with ProcessPoolExecutor(max_workers=1, mp_context=multiprocessing.get_context("spawn")) as pool:
        return pool.submit(_explore, part, version, options).result(110)


def _explore(part: str, version: str, options: dict[str, Any]) -> Exploration:
    explorer = Explorer(part, file_of(version))
    if before := options.pop("before", None):
        explorer.go_on(before)
    return explorer.explore(**options)
