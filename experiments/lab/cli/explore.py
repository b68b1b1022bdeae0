"""The commands of the simulation: explore a part, and play a schedule again."""

import sys
from pathlib import Path

import click

from lab.cli.output import show
from lab.errors import LabError
from lab.paths import PARTS, relative


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
    from lab.simulation import console, report
    from lab.simulation.explore import Explorer
    from lab.simulation.schedule import Bounds

    if broken_name and code:
        raise LabError("--broken and --code name two versions", "give one of them")
    if prove and code:
        raise LabError("--prove starts what experiments/broken has", "put the file there, and use --broken")
    file = console.broken_file(broken_name) if broken_name else code
    explorer = Explorer(part, file, bounds=Bounds(orders=orders, faults=faults), replicas=replicas)
    result, limit = explorer.result, seconds if seconds or schedules else 30.0
    before = report.kept(console.home(save=True), part) if save and file is None else None
    if before and before["seeds"][0] == seed:
        explorer.go_on(before)
    if complete:
        console.search_all(explorer, click.echo)
    else:
        console.draw(explorer, seed=seed, schedules=schedules, seconds=limit, save=save)
    show([], report.rows(report.figures(result)), width=100, show_header=False)
    if result.found:
        click.echo("\n".join(["", *report.story(explorer.simulation.part, result.found), ""]))
    for path in report.write(explorer.simulation.part, result, console.home(save=save)):
        click.echo(relative(path))
    if not result.found:
        return
    click.echo("play it again, step by step: ./lab replay-schedule FILE.json --pause")
    if page and broken_name:
        console.put_into_page(explorer.simulation.part, broken_name, result.found, click.echo)
    sys.exit(2 if prove and not console.proved(explorer.simulation.part, result.found, click.echo) else 1)


@click.command()
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--pause", is_flag=True, help="Wait for Enter before each action.")
def replay_schedule(file: Path, pause: bool) -> None:
    """Play the schedule of FILE again, action by action, and decide its invariants.

    FILE is the .json that ./lab explore leaves. Exit status: 0 no promise was broken, 1 one was.
    """
    from lab.simulation import console

    def before_each(action: str) -> None:
        click.secho(action, bold=True)
        if pause:
            click.pause("   Enter goes on", err=True)

    sys.exit(0 if console.play_again(file, click.echo, before_each) else 1)
