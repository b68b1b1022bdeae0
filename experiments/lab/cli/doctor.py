"""`./lab doctor`: what this machine has of what the lab needs."""

import sys

import click


@click.command()
@click.argument("part", required=False)
def doctor(part: str | None) -> None:
    """Look at this machine: system, Docker, Java, brokers, ports, folder, disk, and what to do where one is missing.

    With PART only at what this part needs. The exit status is 2 when something is missing.
    """
    from lab.runtime.doctor import PARTS, rows
    from lab.services import part_named

    found = rows([part_named(part)] if part else PARTS)
    width = max(len(row.what) for row in found)
    for row in found:
        click.echo(f"{'✔' if row.good else '✘'} {row.what:{width}}  {row.state}")
        if row.hint:
            click.echo(f"  {'':{width}}  → {row.hint}")
    sys.exit(0 if all(row.good for row in found) else 2)
