"""The commands on services: start, stop, show, inject faults, place an order; and whether this machine has all."""

import json
import os
import sys
import time
from typing import Any

import click

from lab import client
from lab.brokers import kafka_client
from lab.cli.output import say, show
from lab.compose import POSTGRES, SQLITE, size_told
from lab.errors import LabError
from lab.faults import inject
from lab.runtime import lifecycle, ports
from lab.services import addresses, part_named, services_of

FINAL = ("notified", "failed")
WATCH_SECONDS = 30.0


@click.command()
@click.argument("part")
@click.option("--fresh", is_flag=True, help="Delete the data of earlier runs.")
@click.option("--nodes", type=int, help="Nodes of the broker: 1 or 3.")
@click.option("--replicas", multiple=True, metavar="SERVICE=N", help="Replicas of a service; they share a PostgreSQL.")
@click.option("--database", type=click.Choice([SQLITE, POSTGRES]), help="sqlite, or one PostgreSQL for all services.")
def up(part: str, fresh: bool, nodes: int | None, replicas: tuple[str, ...], database: str | None) -> None:
    """Start the services of PART and wait until they are ready.

    Without --nodes, --replicas and --database there is one of everything; a part that is up stays as large as it is.
    """
    size = size_told(nodes, replicas, database) if nodes or replicas or database else None
    lifecycle.up(lifecycle.choose(), part_named(part), size=size, fresh=fresh, say=say)
    say("try: ./lab order      and: ./lab --help")


@click.command()
@click.argument("part", required=False)
def down(part: str | None) -> None:
    """Stop the services of PART, or of all parts that are up."""
    from lab.history import sampler

    chosen = lifecycle.choose()
    sampler.stop()
    parts = [part_named(part)] if part else lifecycle.parts_up(chosen)
    for name in parts:
        lifecycle.down(chosen, name, keep_brokers=lifecycle.brokers_stay())
        say(f"{name} is down")
    if not parts:
        say("nothing is up")


@click.command()
def status() -> None:
    """Show which services run, where, and which faults they have."""
    chosen = lifecycle.choose()
    parts = lifecycle.parts_up(chosen)
    if not parts:
        say("nothing is up; ./lab up sync-rest")
        return
    rows = []
    for part in parts:
        services = services_of(part).values()
        for service, seen in zip(services, chosen.look(services), strict=True):
            ready, faults = inject.condition(service) if seen.state == "running" else ("no", "")
            name = service.name if len(parts) == 1 else f"{part}/{service.name}"
            rows.append((name, seen.state, ready, str(service.port), seen.process, faults))
            if service.kind == "kafka" and (wrong := kafka_client.fault_in(chosen.logs(service, 500))):
                say(wrong)
    show(["service", "state", "ready", "port", "process", "faults"], rows, title=" and ".join(parts))


@click.command()
@click.argument("service")
@click.option("-f", "--follow", is_flag=True, help="Print new lines as they are written, until Ctrl-C.")
@click.option("-n", "--lines", default=40, show_default=True, help="How many lines.")
def logs(service: str, follow: bool, lines: int) -> None:
    """Show the last log lines of SERVICE."""
    chosen = lifecycle.choose()
    found = lifecycle.find(chosen, service)
    if follow:
        command = chosen.follow_command(found, lines)
        os.execvp(command[0], command)
    click.echo(chosen.logs(found, lines))


def _service_command(verb: str, text: str, *, name: str = "", hidden: bool = False) -> click.Command:
    @click.command(name or verb, help=text, hidden=hidden)
    @click.argument("service")
    def command(service: str) -> None:
        found = lifecycle.find(lifecycle.choose(), service)
        inject.act(verb, found)
        say(f"{name or verb} {found.part}/{found.name}: done")

    return command


start = _service_command("start", "Start SERVICE and wait until it is ready.")
stop = _service_command("stop", "Stop SERVICE gracefully (SIGTERM).")
kill = _service_command("kill", "Kill SERVICE at once (SIGKILL).")
pause = _service_command("pause", "The same as freeze.", hidden=True)
unpause = _service_command("unpause", "The same as unfreeze.", hidden=True)
freeze = _service_command("pause", "Freeze SERVICE: it accepts connections and answers nothing.", name="freeze")
unfreeze = _service_command("unpause", "Let a frozen SERVICE continue.", name="unfreeze")


@click.command()
@click.argument("service")
@click.argument("settings", nargs=-1, metavar="[KEY=VALUE]...")
@click.option("--reset", is_flag=True, help="Remove all faults.")
def configure(service: str, settings: tuple[str, ...], reset: bool) -> None:
    """Inject faults into SERVICE while it runs, or show them: into all replicas that run, or one: inventory.2.

    \b
    delay=2 jitter=0.5            wait 2 s ± 0.5 s before the work
    failure_rate=0.3 seed=7       three requests of ten fail, the same ones each time
    failure_mode=error            how they fail: error, reject, hang, drop
    crash_point=after_commit      the process kills itself there, once
    timeout=1                     (order) time-out of its calls
    expires_in=30                 all faults end after 30 s
    crash_point=null              this key back to no fault; the others stay
    """
    chosen = lifecycle.choose()
    found = lifecycle.find_all(chosen, service)
    running = [each for each in found if chosen.state(each) == "running"] if len(found) > 1 else found
    for each in running:
        if reset:
            config = inject.reset(each)
        else:
            config = inject.configure(each, _settings(settings)) if settings else inject.configured(each)
        click.echo((f"{each.name} " if len(found) > 1 else "") + json.dumps(config))


def _settings(words: tuple[str, ...]) -> dict[str, Any]:
    settings = {}
    for word in words:
        key, equals, value = word.partition("=")
        if not equals:
            raise LabError(f"{word} is not KEY=VALUE", "for example: ./lab configure inventory delay=2")
        try:
            settings[key] = json.loads(value)
        except ValueError:
            settings[key] = value
    return settings


@click.command()
@click.option("--item", "items", multiple=True, metavar="SKU[=QTY]", help="What to order (burger=1); may be repeated.")
@click.option("--user", default="you", show_default=True, help="The user who orders.")
@click.option("--key", help="Idempotency-Key: the same key gives the same order.")
@click.option("--part", help="The part, if more than one is up.")
def order(items: tuple[str, ...], user: str, key: str | None, part: str | None) -> None:
    """Place one order and watch it until it is final."""
    url = lifecycle.find_all(lifecycle.choose(), f"{part}/order" if part else "order")[0].url
    lines = [{"sku": sku, "qty": int(qty) if qty.isdigit() else 1}
             for sku, _, qty in (item.partition("=") for item in items or ("burger=1",))]  # fmt: skip
    began = time.monotonic()
    headers, body = {"Idempotency-Key": key} if key else {}, {"user_id": user, "items": lines}
    reply = client.call("POST", f"{url}/order", json=body, headers=headers, timeout=65)
    took, answer = time.monotonic() - began, reply.json()
    click.echo(f"POST /order → {reply.status_code} {reply.reason} after {1000 * took:.0f} ms")
    if "order_id" not in answer:
        problems = "; ".join(f"{e['field']}: {e['why']}" for e in answer.get("errors", []))
        raise LabError(f"{answer.get('detail', 'no order was placed')} {problems}".strip())
    if reply.status_code >= 400:
        click.echo(f"  {answer['detail']}")
    deadline = time.monotonic() + WATCH_SECONDS
    while (placed := client.call("GET", f"{url}/orders/{answer['order_id']}").json())["status"] not in FINAL:
        if time.monotonic() > deadline:
            break
        time.sleep(0.1)
    held = ", ".join(f"{line['qty']} {line['sku']}" for line in placed["items"])
    reason = f": {placed['reason']}" if "reason" in placed else ""
    click.echo(f"order {placed['order_id']} ({held}) {placed['status']}{reason}")
    show(["at (UTC)", "status"], ((step["at"][11:-1], step["status"]) for step in placed["timeline"]))
    sys.exit(0 if placed["status"] == "notified" else 1)


@click.command()
@click.argument("part")
def env(part: str) -> None:
    """Print the addresses of PART's services as shell exports: eval "$(./lab env sync-rest)"."""
    for name, url in addresses(part_named(part)).items():
        click.echo(f"export {name}={url}")


@click.command()
@click.argument("part", required=False)
def doctor(part: str | None) -> None:
    """Look at this machine: system, Docker, Java, brokers, ports, folder, disk, and what to do where one is missing.

    With PART only at what this part needs. The exit status is 2 when something is missing.
    """
    from lab.setup.doctor import PARTS, rows

    parts = [part_named(part)] if part else PARTS
    found = rows(parts, lambda: lifecycle.parts_up(lifecycle.choose()), ports.check_free)
    width = max(len(row.what) for row in found)
    for row in found:
        click.echo(f"{'✔' if row.good else '✘'} {row.what:{width}}  {row.state}")
        if row.hint:
            click.echo(f"  {'':{width}}  → {row.hint}")
    sys.exit(0 if all(row.good for row in found) else 2)
