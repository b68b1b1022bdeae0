"""`./lab dlq`: what lies in the dead-letter queues and why, and sending it back to where it came from."""

import json
from collections import Counter
from typing import Any

import click

from lab.brokers import base
from lab.brokers.message import Letter
from lab.errors import LabError
from lab.runtime import lifecycle
from lab.services import Service

REASON, HISTORY = "x-reason", "x-history"
GROUP = "x-group"  # who gave up on it, where more than one may
SHOWN = 400


@click.group()
def dlq() -> None:
    """Look at dead-lettered messages, and send them back."""


@dlq.command("list")
def list_queues() -> None:
    """Say how many messages lie in each dead-letter queue, or in the dead-letter topic, and for what."""
    from rich.console import Console
    from rich.table import Table

    service = lifecycle.broker_up()
    broker = base.speaker(service)
    counts = Counter(queue for queue, _ in letters(service))
    table = Table("from", "dead-letter queue", "messages")
    for queue in broker.WORK:
        table.add_row(queue, broker.dead_letters(queue), str(counts[queue]))
    Console().print(table)


@dlq.command()
@click.argument("queue", required=False)
def show(queue: str | None) -> None:
    """Show dead-lettered messages and why they are.

    Those of QUEUE (order-placed …; in Kafka a topic), or of all queues; they stay where they are.
    """
    service = lifecycle.broker_up()
    found = letters(service, _chosen(service, queue))
    for name, letter in found:
        dead = base.speaker(service).dead_letters(name)
        click.echo("\n".join(described(dead, letter)))
    click.echo(f"{len(found)} messages")


@dlq.command()
@click.argument("queue", required=False)
def replay(queue: str | None) -> None:
    """Send dead-lettered messages back to their queue.

    Those of QUEUE (order-placed …; in Kafka a topic), or of all queues; they are worked on as if they had never failed.
    """
    service = lifecycle.broker_up()
    for name in _chosen(service, queue):
        click.echo(f"{name}: {base.speaker(service).send_back(service, name)} messages sent back")


def letters(service: Service, queues: tuple[str, ...] = ()) -> list[tuple[str, Letter]]:
    """Return `(work queue, letter)` for all that is dead-lettered, or for these queues. Raises LabError."""
    broker = base.speaker(service)
    return broker.letters(service, queues or broker.WORK)


def as_state(service: Service) -> list[dict[str, Any]]:
    """Return the dead letters as lines of a run's state. Raises LabError."""
    return [
        {"what": "dead", "queue": queue, "message_id": letter.message_id, "reason": letter.headers.get(REASON, "")}
        | {"history": history(letter), "body": letter.body.decode(errors="replace")[:SHOWN]}
        | ({"groups": letter.headers[GROUP].split(", ")} if GROUP in letter.headers else {})
        for queue, letter in letters(service)
    ]


def described(dead: str, letter: Letter) -> list[str]:
    """Return what a person wants to know of a letter in this dead-letter queue, in lines."""
    lines = [f"{dead}  message {letter.message_id or 'without id'}"]
    lines.append(f"  reason   {letter.headers.get(REASON, 'none given')}")
    lines += [f"  given up {letter.headers[GROUP]}"] if GROUP in letter.headers else []
    lines += [f"  failed   {failure.get('at')}  {failure.get('why')}" for failure in history(letter)]
    return [*lines, f"  body     {letter.body.decode(errors='replace')[:SHOWN]}"]


def history(letter: Letter) -> list[dict[str, str]]:
    """Return the failures before it was dead-lettered, oldest first."""
    try:
        return json.loads(letter.headers.get(HISTORY, "[]"))
    except (ValueError, TypeError):
        return []


def _chosen(service: Service, queue: str | None) -> tuple[str, ...]:
    work = base.speaker(service).WORK
    if queue is None:
        return work
    name = queue.removesuffix(".dlq")
    if name not in work:
        raise LabError(f"there is no queue {queue}", f"the queues are: {', '.join(work)}")
    return (name,)
