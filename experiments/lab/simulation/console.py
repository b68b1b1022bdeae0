"""Exploring, and playing a schedule again, as a person at a terminal sees it."""

import contextlib
from collections.abc import Callable, Iterator
from pathlib import Path

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

from lab.paths import RESULTS, STATE_DIR, relative
from lab.runtime import broken
from lab.simulation import pages, proof, report
from lab.simulation.code import Code
from lab.simulation.complete import search
from lab.simulation.core import Simulation
from lab.simulation.explore import Counterexample, Exploration, Explorer
from lab.simulation.part import SimulatedPart
from lab.simulation.parts import make
from lab.simulation.verdict import decide
from lab.simulation.words import sentence
from lab.verdict import PASS

KEEP = 50  # seeds, after which what was found is written
Say = Callable[[str], None]


def broken_file(name: str) -> Path:
    """Return the file of a broken version. Raises LabError where there is none of this name."""
    return broken.FOLDER / f"{broken.named(name).name}.py"


def home(*, save: bool) -> Path:
    """Return the folder in which an exploration leaves what it found."""
    return (RESULTS if save else STATE_DIR) / "explore"


def search_all(explorer: Explorer, say: Say) -> None:
    """Search the small spaces completely, and say how large each is."""
    for name, size in search(explorer):
        end = " up to the violation" if explorer.result.found else ""
        say(f"{name}: {size:,} schedules, all there are{end}")


def draw(explorer: Explorer, *, seed: int, schedules: int | None, seconds: float | None, save: bool) -> None:
    """Draw schedules until one breaks a promise or the time is over; show how far it is where there is a terminal."""
    with _progress(schedules, seconds) as show:

        def keep(result: Exploration) -> None:
            show(result)
            if save and result.seeds % KEEP == 0:  # what takes long leaves something, whatever ends it
                report.write(explorer.simulation.part, result, home(save=True))

        explorer.explore(seed=seed, most=schedules, seconds=seconds, progress=keep)


@contextlib.contextmanager
def _progress(schedules: int | None, seconds: float | None) -> Iterator[Callable[[Exploration], None]]:
    """Show schedules, orders, crash points and the time that is left."""
    columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
    with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
        task = progress.add_task("exploring", total=schedules or seconds)

        def show(result: Exploration) -> None:
            said = f"{result.schedules:,} schedules, {result.orders:,} orders, {len(result.crashes)} crash points"
            progress.update(task, completed=result.schedules if schedules else result.seconds, description=said)

        yield show


def put_into_page(part: SimulatedPart, version: str, found: Counterexample, say: Say) -> None:
    """Put the schedule that was found into the page of a broken version."""
    path = broken.FOLDER / f"{version}.md"
    made = pages.with_schedule(path.read_text(), part, version, found.schedule, found.violations, found.trace)
    path.write_text(made)
    say(relative(path))


def proved(part: SimulatedPart, found: Counterexample, say: Say) -> bool:
    """Run a counterexample on the real services, say what came of it, and return whether they confirm it."""
    done = proof.prove(part, found, STATE_DIR / "explore")
    say(f"\n{done.sentence(found)}")
    say(relative(proof.write(part, found, done)))
    return done.verdict == PASS


def play_again(file: Path, say: Say, before_each: Callable[[str], None]) -> bool:
    """Play the schedule of a file again, action by action; return whether it keeps every promise."""
    said = report.read_schedule(file)
    part = make(said["part"])
    sim = Simulation(part, Code(broken_file(said["file"]) if said["file"] else None))
    shown = 0

    def show_entries() -> None:
        nonlocal shown
        for entry in sim.trace.entries[shown:]:
            say(f"      {entry.line()}")
        shown = len(sim.trace.entries)

    def watch(action: list) -> None:
        show_entries()
        before_each(f"→ {sentence(part, action)}")

    sim.watch = watch
    sim.play(said["schedule"])
    show_entries()
    violations = decide(sim)
    say("→ Everything is healed, and all that is on its way arrives.")
    show_entries()
    for violation in violations:
        say(f"{violation.id}: {violation.sentence}")
    say("no promise was broken" if not violations else f"{len(violations)} promises were broken")
    return not violations
