"""What runs in the process of a part: two parts have packages of the same name, and a simulation replaces the clock."""

from pathlib import Path

from lab.simulation.code import Code
from lab.simulation.core import Simulation
from lab.simulation.part import Action
from lab.simulation.parts import make
from lab.simulation.verdict import decide

_made: dict[Path | None, Simulation] = {}


def play(part: str, schedule: list[Action], file: Path | None = None) -> tuple[list[str], list[str], set]:
    """Play a schedule, in the one part of this process; return the violations, the trace, and the points passed."""
    if file not in _made:
        _made[file] = Simulation(make(part), Code(file))
    sim = _made[file]
    sim.play(schedule)
    found = decide(sim)
    return [violation.id for violation in found], list(sim.trace.lines()), sim.points
