"""`./lab dlq`: what lies in the dead-letter queues and why, and sending it back to where it came from."""

import json
from typing import TYPE_CHECKING, Any

import click

from lab import rabbit, runtime
from lab.compose import Service
from lab.places import LabError
from lab.rabbit import Letter

if TYPE_CHECKING:
    from pika.adapters.blocking_connection import BlockingChannel

REASON, HISTORY = "x-reason", "x-history"
SHOWN = 400


@click.group()
def dlq() -> None:
    """Look at dead-lettered messages, and send them back (RabbitMQ)."""


@dlq.command("list")
def list_queues() -> None:
    """Say how many messages lie in each dead-letter queue."""
    from rich.console import Console
    from rich.table import Table

    table = Table("dead-letter queue", "messages")
    with rabbit.channel(_broker()) as on:
        for queue in rabbit.WORK:
            table.add_row(rabbit.dead_letters(queue), str(rabbit.ready(on, rabbit.dead_letters(queue))))
    Console().print(table)


@dlq.command()
@click.argument("queue", required=False)
def show(queue: str | None) -> None:
    """Show dead-lettered messages and why they are.

    Those of QUEUE (order-placed …), or of all queues; they stay where they are.
    """
    found = letters(_broker(), _chosen(queue))
    for name, letter in found:
        click.echo("\n".join(described(name, letter)))
    click.echo(f"{len(found)} messages")


@dlq.command()
@click.argument("queue", required=False)
def replay(queue: str | None) -> None:
    """Send dead-lettered messages back to their queue.

    Those of QUEUE (order-placed …), or of all queues; they are worked on as if they had never failed.
    """
    with rabbit.channel(_broker()) as on:
        for name in _chosen(queue):
            click.echo(f"{name}: {send_back(on, name)} messages sent back")


def letters(service: Service, queues: tuple[str, ...] = rabbit.WORK) -> list[tuple[str, Letter]]:
    """Return `(work queue, letter)` for all that is dead-lettered. Raises LabError."""
    with rabbit.channel(service) as on:
        return [(queue, letter) for queue in queues for _, letter in rabbit.take(on, rabbit.dead_letters(queue))]


def send_back(on: "BlockingChannel", queue: str) -> int:
    """Put what is dead-lettered now into its queue again, as if it had never failed, and return how many.

    A message is taken away only when RabbitMQ has it in the work queue; in between it may be in both.
    """
    count = 0
    for tag, letter in rabbit.take(on, rabbit.dead_letters(queue)):
        rabbit.publish(on, queue, [Letter(letter.body, letter.message_id, {})])
        on.basic_ack(tag)
        count += 1
    return count


def as_state(service: Service) -> list[dict[str, Any]]:
    """Return the dead letters as lines of a run's state. Raises LabError."""
    return [
        {"what": "dead", "queue": queue, "message_id": letter.message_id, "reason": letter.headers.get(REASON, "")}
        | {"history": history(letter), "body": letter.body.decode(errors="replace")[:SHOWN]}
        for queue, letter in letters(service)
    ]


def described(queue: str, letter: Letter) -> list[str]:
    """Return what a person wants to know of a dead letter, in lines."""
    lines = [f"{rabbit.dead_letters(queue)}  message {letter.message_id or 'without id'}"]
    lines.append(f"  reason   {letter.headers.get(REASON, 'none given')}")
    lines += [f"  failed   {failure.get('at')}  {failure.get('why')}" for failure in history(letter)]
    return [*lines, f"  body     {letter.body.decode(errors='replace')[:SHOWN]}"]


def history(letter: Letter) -> list[dict[str, str]]:
    """Return the failures before it was dead-lettered, oldest first."""
    try:
        return json.loads(letter.headers.get(HISTORY, "[]"))
    except (ValueError, TypeError):
        return []


def _broker() -> Service:
    return runtime.find(runtime.choose(), rabbit.NAME)


def _chosen(queue: str | None) -> tuple[str, ...]:
    if queue is None:
        return rabbit.WORK
    name = queue.removesuffix(".dlq")
    if name not in rabbit.WORK:
        raise LabError(f"there is no queue {queue}", f"the queues are: {', '.join(rabbit.WORK)}")
    return (name,)
