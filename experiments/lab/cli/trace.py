"""The command that shows one order's messages."""

import json

import click

from lab.errors import LabError
from lab.history import model
from lab.paths import PARTS, RESULTS, STATE_DIR, relative
from lab.runtime import lifecycle
from lab.services import services_of
from lab.trace import collect, diagram
from lab.trace import logs as logs_of
from lab.trace.collect import Line
from lab.trace.one_order import Kill, entries


@click.command()
@click.argument("order")
@click.option("--logs", is_flag=True, help="Show what the logs of all services say of it, by its request id.")
def trace(order: str, logs: bool) -> None:
    """Draw the messages of ORDER (an order id, or its beginning) as a sequence diagram.

    They are looked for in the logs of services that run with TRACE_ORDERS=20, then in the runs under .lab/ and
    results/: an experiment records the first 20 orders of each load, and orders that a fault touches.
    """
    if logs:
        chosen = lifecycle.choose()
        ours = [service for part in PARTS for service in services_of(part).values() if not service.is_broker]
        said = logs_of.of_order({f"{s.part}/{s.name}": chosen.logs(s, collect.ALL_LINES) for s in ours}, order)
        if not said:
            raise LabError(f"no log names the order {order}", "logs are kept until the next ./lab up")
        for line in said:
            click.echo(json.dumps(line))
        return
    where, lines, kills = _found(order)
    click.echo(f"order {lines[0]['order_id']}, recorded in {where}")
    for row in diagram.text(entries(lines, kills)):
        click.echo(row)


def _found(order: str) -> tuple[str, list[Line], list[Kill]]:
    """Return where the order's messages are recorded, they, and which services were killed then. Raises LabError."""
    chosen = lifecycle.choose()
    for part in PARTS:
        services = services_of(part)
        lines = collect.collect(services, lambda service: chosen.logs(service, collect.ALL_LINES), 0.0)
        if mine := [line for line in lines if line["order_id"].startswith(order)]:
            return f"the logs of {part}", mine, []
    for file in (file for home in (STATE_DIR / "quick", RESULTS) for file in sorted(home.glob(f"**/{model.TRACE}"))):
        run = model.read(file.parent)
        if mine := [line for line in run.trace if line["order_id"].startswith(order)]:
            kills = [(e["service"], e["at"]) for e in run.of_type("fault") if e["verb"] == "kill"]
            return relative(file.parent), mine, kills
    raise LabError(
        f"the messages of the order {order} are not recorded",
        "experiments record some orders; by hand: TRACE_ORDERS=20 ./lab up PART, then ./lab order",
    )
