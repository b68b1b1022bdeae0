"""The commands on Kafka: how far its groups have read, reading again, and counting by hand what is in the log."""

import contextlib
import json

import click

from lab.analysis import reports
from lab.brokers import count_log, kafka, kafka_client, lag_table
from lab.brokers.count_log import EVENT_TIME, WALL_CLOCK
from lab.brokers.lag import Groups
from lab.brokers.lag_table import TABLE
from lab.errors import LabError
from lab.faults import replay as replay_of
from lab.history.recorder import RunRecorder
from lab.runtime import lifecycle

ANALYTICS = "analytics"


@click.command()
@click.argument("group", required=False)
@click.option("--watch", is_flag=True, help="Print the table every 2 s, until Ctrl-C.")
@click.option("--when-begins", metavar="LOAD", help="Wait until this load begins (for experiment scripts).")
@click.option("--note", "note_as", metavar="NAME", help="Record it in the history of the run (for experiment scripts).")
def lag(group: str | None, watch: bool, note_as: str | None, when_begins: str | None) -> None:
    """Show how far behind the consumer groups are, or GROUP alone (Kafka)."""
    recorder = RunRecorder.required() if note_as else None
    service = replay_of.service_named(kafka.NAME)
    if wrong := kafka_client.fault_in(lifecycle.choose().logs(service, 500)):
        click.echo(wrong, err=True)
    with contextlib.closing(Groups(service)) as groups:
        if when_begins:
            RunRecorder.required().begun(when_begins)
        for shown in lag_table.tables(groups, group, watch=watch):
            click.echo("\n".join([*reports.columns([map(str.upper, TABLE), *(row.values() for row in shown)]), ""]))
            if recorder:
                recorder.record(type="lag table", name=note_as, rows=[lag_table.noted(row) for row in shown])


@click.command()
@click.argument("group")
@click.option("--to", default="earliest", show_default=True, metavar="WHERE",
              help="earliest, latest, a time (2026-01-31T12:00:00Z), or an offset.")  # fmt: skip
def replay(group: str, to: str) -> None:
    """Replay the topics of GROUP (Kafka): stop its service, reset its offsets, start it, wait until its lag is 0.

    For analytics-consumer-group, the report is shown before and after.
    """
    if group not in kafka_client.GROUPS:
        raise LabError(f"there is no group {group}", f"the groups are: {', '.join(kafka_client.GROUPS)}")
    replay_of.target(to)  # what is wrong with it is said before anything is done
    service = replay_of.service_named(kafka_client.GROUPS[group])
    shows_report = service.name == ANALYTICS
    before = replay_of.noted_report("before replay", service) if shows_report else {}
    with contextlib.closing(Groups(replay_of.service_named(kafka.NAME))) as groups:
        partitions, took = replay_of.run(groups, group, service, to, say=lambda text: click.echo(f"— {text}"))
    if shows_report:
        click.echo("\n".join(reports.compared(before, replay_of.noted_report("after replay", service))))
    if recorder := RunRecorder.current():
        recorder.record(type="replay", group=group, to=to, partitions=partitions, took=took)


@click.command(hidden=True)
@click.argument("name")
def note_report(name: str) -> None:
    """Note under NAME what analytics reports now."""
    RunRecorder.required()
    replay_of.noted_report(name, replay_of.service_named(ANALYTICS))


@click.command(hidden=True)
@click.argument("name")
@click.option("--by", type=click.Choice([EVENT_TIME, WALL_CLOCK]), default=EVENT_TIME, show_default=True,
              help="The minute of the event, or the second in which it is read.")  # fmt: skip
@click.option("--fail", type=click.FloatRange(0, 1), default=0.0, help="Lose this share of the orders at random.")
@click.option("--seed", type=int, help="Lose the same orders each time.")
def tally(name: str, by: str, fail: float, seed: int | None) -> None:
    """Count the events in the log independently of analytics, and record the result under NAME."""
    report = count_log.count(replay_of.service_named(kafka.NAME), by=by, fail=fail, seed=seed)
    if recorder := RunRecorder.current():
        recorder.record(type="report", name=name, report=report)
    click.echo(json.dumps({"name": name} | report))
