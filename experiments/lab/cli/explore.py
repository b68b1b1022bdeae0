"""The commands of the simulation: explore a part, and play a schedule again."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING

import click

from lab.cli import output
from lab.errors import LabError
from lab.paths import PARTS, RESULTS, ROOT, STATE_DIR, relative

if TYPE_CHECKING:  # what takes seconds to import is imported where it is used
    from lab.simulation.explore import Counterexample, Exploration
    from lab.simulation.part import SimulatedPart

BROKEN = ROOT / "experiments/broken"
KEEP = 50  # seeds, after which what was found is written


@click.command()
@click.argument("part", type=click.Choice(PARTS))
@click.option("--schedules", type=click.IntRange(1), help="How many schedules to try.")
@click.option("--seconds", type=click.FloatRange(min=0.1), help="How long to try, in processor time (default: 30).")
@click.option("--seed", type=int, default=0, show_default=True, help="The first seed; each seed draws 10 schedules.")
@click.option("--orders", type=click.IntRange(1), default=3, show_default=True, help="Orders in a schedule, at most.")
@click.option("--faults", type=click.IntRange(0), default=3, show_default=True, help="Faults in a schedule, at most.")
@click.option("--broken", "broken_name", metavar="NAME", help="Explore a broken version: a file of experiments/broken.")
@click.option("--code", type=click.Path(path_type=Path, exists=True, dir_okay=False), metavar="FILE",
              help="Explore your own code, in the form of experiments/broken/*.py.")  # fmt: skip
@click.option("--replicas", is_flag=True, help="Two processes of inventory and notification (async-rabbitmq).")
@click.option("--complete", is_flag=True, help="Search small spaces completely, instead of drawing schedules.")
@click.option("--prove", is_flag=True, help="Then do the same to the real services, with their broker.")
@click.option("--page", is_flag=True, help="Put the schedule that is found into the page of the broken version.")
@click.option("--save", is_flag=True, help="Add to what is in results/explore/, instead of writing to .lab/explore/.")
def explore(part: str, schedules: int | None, seconds: float | None, seed: int, orders: int, faults: int,
            broken_name: str | None, code: Path | None, replicas: bool, complete: bool,
            prove: bool, page: bool, save: bool) -> None:  # fmt: skip
    """Try thousands of schedules of orders, crashes and faults on a part's services, in memory.

    \b
    PART's own code runs over a simulated network and a virtual clock: no broker is needed.
    The first schedule that breaks a promise is made as short as possible and drawn.
    Exit status: 0 no promise was broken, 1 one was; with --prove 2 if the real services do not confirm it.
    """
    from lab.simulation import report
    from lab.simulation.complete import search
    from lab.simulation.explore import Explorer
    from lab.simulation.schedule import Bounds

    if broken_name and code:
        raise LabError("--broken and --code name two versions", "give one of them")
    if prove and code:
        raise LabError("--prove starts what experiments/broken has", "put the file there, and use --broken")
    file = _broken_file(broken_name) if broken_name else code
    explorer = Explorer(part, file, bounds=Bounds(orders=orders, faults=faults), replicas=replicas)
    result, limit = explorer.result, seconds if seconds or schedules else 30.0
    before = report.kept(RESULTS / "explore", part) if save and file is None else None
    if before and before["seeds"][0] == seed:
        explorer.go_on(before)
    if complete:
        for name, size in search(explorer):
            click.echo(f"{name}: {size:,} schedules, all there are{' up to the violation' if result.found else ''}")
    else:
        with _progress(schedules, limit) as show:

            def keep(result: "Exploration") -> None:
                show(result)
                if save and result.seeds % KEEP == 0:  # what takes long leaves something, whatever ends it
                    report.write(explorer.simulation.part, result, RESULTS / "explore")

            explorer.explore(seed=seed, most=schedules, seconds=limit, progress=keep)
    output.show([], report.rows(report.figures(result)), width=100, show_header=False)
    if result.found:
        click.echo("\n".join(["", *report.story(explorer.simulation.part, result.found), ""]))
    for path in report.write(explorer.simulation.part, result, (RESULTS if save else STATE_DIR) / "explore"):
        click.echo(f"{relative(path)}")
    if result.found:
        click.echo("play it again, step by step: ./lab replay-schedule FILE.json --pause")
    if result.found and page and broken_name:
        _put_into_page(explorer.simulation.part, broken_name, result.found)
    if result.found and prove:
        sys.exit(_proved(explorer.simulation.part, result.found))
    sys.exit(1 if result.found else 0)


def _put_into_page(part: "SimulatedPart", version: str, found: "Counterexample") -> None:
    from lab.simulation import pages

    path = BROKEN / f"{version}.md"
    made = pages.with_schedule(path.read_text(), part, version, found.schedule, found.violations, found.trace)
    path.write_text(made)
    click.echo(relative(path))


def _proved(part: "SimulatedPart", found: "Counterexample") -> int:
    """Run a counterexample on the real services, say what came of it, and return the exit status."""
    from lab.simulation import proof
    from lab.verdict import PASS

    proved = proof.prove(part, found, STATE_DIR / "explore")
    click.secho(f"\n{proved.sentence(found)}", bold=True)
    click.echo(relative(proof.write(part, found, proved)))
    return 1 if proved.verdict == PASS else 2


def _broken_file(name: str) -> Path:
    from lab.runtime import broken

    broken.named(name)
    return BROKEN / f"{name}.py"


def _progress(schedules: int | None, seconds: float | None):
    """Show schedules, orders, crash points and the time that is left, where there is a terminal."""
    import contextlib

    from rich.console import Console
    from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn

    @contextlib.contextmanager
    def shown():
        columns = TextColumn("{task.description}"), BarColumn(), TimeElapsedColumn()
        with Progress(*columns, console=Console(stderr=True), transient=True) as progress:
            task = progress.add_task("exploring", total=schedules or seconds)

            def show(result: "Exploration") -> None:
                said = f"{result.schedules:,} schedules, {result.orders:,} orders, {len(result.crashes)} crash points"
                progress.update(task, completed=result.schedules if schedules else result.seconds, description=said)

            yield show

    return shown()


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--pause", is_flag=True, help="Wait for Enter before each action.")
def replay_schedule(file: Path, pause: bool) -> None:
    """Play the schedule of FILE again, action by action, and decide its invariants.

    FILE is the .json that ./lab explore leaves. Exit status: 0 no promise was broken, 1 one was.
    """
    from lab.simulation.code import Code
    from lab.simulation.core import Simulation
    from lab.simulation.parts import make
    from lab.simulation.report import read_schedule
    from lab.simulation.verdict import decide
    from lab.simulation.words import sentence

    said = read_schedule(file)
    part = make(said["part"])
    sim = Simulation(part, Code(_broken_file(said["file"]) if said["file"] else None))
    shown = 0

    def show_entries() -> None:
        nonlocal shown
        for entry in sim.trace.entries[shown:]:
            click.echo(f"      {entry.line()}")
        shown = len(sim.trace.entries)

    def watch(action: list) -> None:
        show_entries()
        click.secho(f"→ {sentence(part, action)}", bold=True)
        if pause:
            click.pause("   Enter goes on", err=True)

    sim.watch = watch
    sim.play(said["schedule"])
    show_entries()
    violations = decide(sim)
    click.secho("→ Everything is healed, and all that is on its way arrives.", bold=True)
    show_entries()
    for violation in violations:
        click.echo(f"{violation.id}: {violation.sentence}")
    click.echo("no promise was broken" if not violations else f"{len(violations)} promises were broken")
    sys.exit(1 if violations else 0)
