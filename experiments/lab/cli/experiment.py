"""The commands that experiment scripts use: each script is a sequence of them, after `experiments/experiment.sh`."""

import sys
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import click

from lab.cli.output import say
from lab.compose import size_told
from lab.errors import LabError
from lab.history.recorder import RunRecorder
from lab.paths import relative
from lab.runtime import broken as broken_versions
from lab.services import part_named, services_of
from lab.verdict import EXIT_STATUS, PASS


@click.command(hidden=True)
@click.argument("script", type=click.Path(path_type=Path, exists=True))
@click.argument("part")
@click.option("--quick", is_flag=True)
@click.option("--owner", type=int, required=True, help="The process of the script.")
@click.option("--place", help="Where the run goes, below results/; PART/SCRIPT unless given.")
@click.option("--again", help="The command that makes the run again; experiments/SCRIPT unless given.")
@click.option("--traffic", is_flag=True, help="Count messages and connections.")
@click.option("--portions", is_flag=True, help="Keep the lines of orders apart: they are too many for one file.")
@click.option("--nodes", type=int, default=1)
@click.option("--replicas", multiple=True, metavar="SERVICE=N")
def begin(
    script: Path,
    part: str,
    quick: bool,
    owner: int,
    nodes: int,
    replicas: tuple[str, ...],
    **told: str | bool | None,
) -> None:
    """Try the predictions beside SCRIPT, start PART with empty databases and open a run; print the run's folder."""
    from lab.checker import predictions
    from lab.history import environment, session
    from lab.runtime import lifecycle

    named = part_named(part)
    broken = broken_versions.chosen()
    if broken and broken.part != named:
        raise LabError(f"{broken.name} is a broken version of {broken.part}, and not of {named}")
    told["broken"] = broken.name if broken else None
    more = {key: value for key, value in told.items() if value}
    size = lifecycle.checked(named, size_told(nodes, replicas, None))
    proof = str(told["place"] or "").startswith("explore/")  # such a script predicts nothing but a broken promise
    names = [*services_of(named, None, size)]
    expected = "" if proof else predictions.rehearse(script, named, quick=quick, services=names)
    if not quick and (said := environment.warning()):
        say(f"lab: {said}")
    recorder = session.begin(script, named, quick=quick, owner=owner, more=more, size=size, say=say)
    if expected:
        recorder.record(type="predictions", text=expected)
    click.echo(recorder.folder)


@click.command()
@click.argument("name")
@click.option("--rate", type=click.FloatRange(0.01, 5000), help="Open loop: orders a second.")
@click.option("--seconds", type=click.FloatRange(0.1, 3600), help="How long the load lasts.")
@click.option("--poisson", is_flag=True, help="Random arrivals instead of evenly spaced ones.")
@click.option(
    "--clients", type=click.IntRange(1, 1000), help="Closed loop: number of clients; each waits for its reply."
)
@click.option("--count", type=click.IntRange(1, 1_000_000), help="Closed loop or bulk: number of orders.")
@click.option("--bulk", is_flag=True, help="All orders in one request (streaming-kafka only).")
@click.option("--seed", default=1, show_default=True, help="The same seed gives the same orders at the same times.")
@click.option("--timeout", default=60.0, show_default=True, help="Seconds until a client gives up.")
@click.option("--item", default="", metavar="SKU=QTY", help="What each order holds, instead of what the seed draws.")
@click.option("--part", help="The part, if more than one is up.")
def load(name: str, part: str | None, **options: Any) -> None:
    """Send orders to the part that is up, and print the results."""
    from lab.analysis import latency
    from lab.history import loads
    from lab.load.generator import Plan
    from lab.report.format import shown_time
    from lab.runtime import lifecycle

    plan = Plan(name, **{key: value for key, value in options.items() if value is not None})
    plan.check()
    service = lifecycle.find_all(lifecycle.choose(), f"{part}/order" if part else "order")[0]
    run = loads.run(plan, service.url, RunRecorder.current())
    done = latency.of_phases(run)[name]
    errors = ", ".join(f"{e['count']} × {kind}" for kind, e in done["errors"].items()) or "no errors"
    times = " ".join(f"{key} {shown_time(done[key])}" for key in ("p50", "p95", "p99", "max"))
    word = latency.word_for_ok(run)
    say(f"  {name}: {done['sent']} sent, {done['ok']} {word} at {done['achieved']:.1f}/s, {times}; {errors}")


@click.command(hidden=True)
@click.argument("count", type=click.IntRange(1, 1_000_000))
def grow(count: int) -> None:
    """Send COUNT orders more, and note what they cost."""
    from lab.growth import grow

    found = grow.grow(RunRecorder.required(), count)
    each = 1e6 * sum(found["processor"].values()) / count
    say(f"  {count:,} orders more: done after {found['seconds']:.1f} s, {each:,.0f} µs of processor time an order")


@click.command(hidden=True)
@click.argument("phase")
@click.argument("seconds", type=float)
def at(phase: str, seconds: float) -> None:
    """Wait until SECONDS of the load PHASE have passed."""
    recorder = RunRecorder.required()
    recorder.wait_for(phase, seconds)
    recorder.record(type="due", phase=phase, seconds=seconds)


@click.command(hidden=True)
@click.option("--seconds", default=60.0, help="How long at most.")
def settle(seconds: float) -> None:
    """Wait until every order is in a final state."""
    from lab.history import session, settling

    recorder = RunRecorder.required()
    done = settling.settle(recorder, seconds)
    say("  all orders are final" if done else f"  after {seconds:.0f} s some orders are not final, or messages wait")
    for sentence in [] if done else session.unready(recorder.head["part"]):
        say(f"  {sentence}")


@click.command(hidden=True)
@click.argument("name")
def snapshot(name: str) -> None:
    """Wait until nothing is on its way, and note under NAME what inventory and notification hold."""
    from lab.history import held, settling

    recorder = RunRecorder.required()
    settling.settle(recorder, 60.0)
    held.snapshot(recorder, name)


@click.command(hidden=True)
@click.argument("name")
@click.argument("phase")
@click.option("--count", type=int, help="So many of them; all of them if not given.")
@click.option("--shuffle", is_flag=True, help="In a random order, the same each time.")
def redeliver(name: str, phase: str, count: int | None, shuffle: bool) -> None:
    """Publish the OrderPlaced events of the load PHASE again, noted under NAME."""
    from lab.faults import messages

    sent = messages.redeliver(RunRecorder.required(), name, phase, count=count, shuffle=shuffle)
    say(f"  {name}: {sent} events published again")


@click.command(hidden=True)
@click.argument("name")
@click.argument("queue")
def poison(name: str, queue: str) -> None:
    """Publish each kind of malformed message into QUEUE, noted under NAME."""
    from lab.faults import messages

    kinds = messages.poison(RunRecorder.required(), name, queue)
    say(f"  {name}: {kinds} kinds of invalid messages published into {queue}")


@click.command(hidden=True)
@click.option("--seed", type=int, required=True, help="The same seed draws the same faults.")
@click.option("--minutes", type=float, required=True, help="How long the load lasts, which is named chaos.")
def chaos(seed: int, minutes: float) -> None:
    """Inject the faults that a seed draws, during the load named chaos; then heal all services."""
    from lab.faults import run as chaos_run

    chaos_run.run(RunRecorder.required(), seed, minutes, say)


@click.command(hidden=True)
@click.option("--owner", type=int, required=True, help="The process of the script.")
def sample(owner: int) -> None:
    """Note how many messages wait, until the script ends."""
    from lab.history import sampler

    sampler.run(RunRecorder.required(), owner)


@click.command(hidden=True)
def finish() -> None:
    """Collect the raw data, stop the part, write the report, publish it; exit with the verdict's status."""
    from lab.growth import check
    from lab.history import session
    from lab.report import run as run_report
    from lab.report.format import prediction_row, verdict_sentence
    from lab.runtime import lifecycle

    recorder = RunRecorder.required()
    if recorder.head.get("portions"):
        say("  deciding the invariants, portion by portion")
        check.note(recorder)
    session.collect(recorder)
    with ThreadPoolExecutor() as beside:  # both take seconds, and the report needs no service any more
        part = recorder.head["part"]
        stopped = beside.submit(lifecycle.down, lifecycle.choose(), part, keep_brokers=lifecycle.brokers_stay())
        summary = run_report.make(recorder.folder)
        stopped.result()
    place = session.publish(recorder)
    for p in summary["predictions"]:
        row = prediction_row(p)
        say(f"  {p['verdict']:7} {p['id']}: {row[0]}: predicted {row[1]}, measured {row[2]}")
    for i in summary["invariants"]:
        say(f"  {i['verdict']:7} {i['id']}: {i['rule']} {'' if i['verdict'] == 'pass' else i['sentence']}")
    if summary["verdict"] != PASS and (logs := session.keep_logs(recorder)):
        say(f"logs of the services: {relative(logs)}/")
    say(f"{summary['verdict']}: {verdict_sentence(summary)}\nreport: {relative(place)}/report.md")
    sys.exit(EXIT_STATUS[summary["verdict"]])
