"""`./lab dlq`: what lies in the dead-letter queues and why, and sending it back to where it came from."""

from collections import Counter

import click

from lab.brokers import base, dead_letters
from lab.cli import output
from lab.runtime import lifecycle


@click.group()
def dlq() -> None:
    """Look at dead-lettered messages, and send them back."""


@dlq.command("list")
def list_queues() -> None:
    """Show how many messages are in each dead-letter queue, or in the dead-letter topic, and for what."""
    service = lifecycle.broker_up()
    broker = base.client_for(service)
    counts = Counter(queue for queue, _ in broker.letters(service))
    rows = [(queue, broker.dead_letters(queue), str(counts[queue])) for queue in broker.WORK]
    output.show(["from", "dead-letter queue", "messages"], rows)


@dlq.command()
@click.argument("queue", required=False)
def show(queue: str | None) -> None:
    """Show dead-lettered messages and their reasons.

    Those of QUEUE (order-placed …; in Kafka a topic), or of all queues; they stay where they are.
    """
    service = lifecycle.broker_up()
    broker = base.client_for(service)
    found = broker.letters(service, dead_letters.queues_of(service, queue))
    for name, letter in found:
        click.echo("\n".join(dead_letters.described(broker.dead_letters(name), letter)))
    click.echo(f"{len(found)} messages")


@dlq.command()
@click.argument("queue", required=False)
def replay(queue: str | None) -> None:
    """Send dead-lettered messages back to their queue.

    Those of QUEUE (order-placed …; in Kafka a topic), or of all queues; consumers process them as new messages.
    """
    service = lifecycle.broker_up()
    for name in dead_letters.queues_of(service, queue):
        click.echo(f"{name}: {base.client_for(service).send_back(service, name)} messages sent back")
