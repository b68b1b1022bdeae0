"""Part A's benchmark: the chain beside a floor of bare functions, beside what classes hand in, and not pinned."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from lab.paths import ROOT, STATE_DIR
from lab.runtime import lifecycle, local, processes
from lab.services import services_of

from benchmarks import raw_client, tools

PART = "sync-rest"
CLIENTS = (1, 8, 20)
SERVICES = ("order", "inventory", "notification")
# Each contestant's name and the port of its order service; inventory and notification follow.
RIVALS = {"floor": 8100, "naive": 8200}
UNPINNED = 8300


def measure(quick: bool, say: Callable[[str], None]) -> list[dict[str, Any]]:
    """Return the samples of Part A's benchmark."""
    rounds, seconds = (2, 1.0) if quick else (9, 1.2)  # many and short: the machine changes its mood
    lines: list[dict[str, Any]] = []
    with _contestants(say) as ports:
        for port in ports.values():
            raw_client.drive(port, 8, 1.0)  # first requests load code and open connections
        for n in range(rounds):
            say(f"round {n + 1} of {rounds}")
            for clients in CLIENTS:
                for name, port in ports.items():
                    lines.append(tools.closed(name, port, clients, seconds) | {"round": n})
        say("open loop, 100 orders/s")
        for n in range(1 if quick else 3):
            for name, port in ports.items():
                lines.append(tools.open_loop(name, port, 3.0 if quick else 5.0) | {"round": n})
        lines += tools.memory(PART)
    return lines + tools.costs(PART, say)


@contextlib.contextmanager
def _contestants(say: Callable[[str], None]) -> Iterator[dict[str, int]]:
    """Start the chain, the chain without pinning, the floor and the naive chain; yield their ports; stop them all."""
    chosen = local.LocalRuntime()
    records: list[processes.Record] = []
    try:
        lifecycle.up(chosen, PART, fresh=True, say=say)
        for name, port in RIVALS.items():
            records += [start_rival(name, service, port) for service in SERVICES]
        records += [_start_unpinned(service) for service in SERVICES]
        ports = {"chain": services_of(PART)["order"].port, "unpinned": UNPINNED} | RIVALS
        for port in ports.values():
            tools.wait_for(port)
        yield ports
    finally:
        for record in records:
            record.stop()
        lifecycle.down(chosen, PART)


def start_rival(name: str, service: str, port: int) -> processes.Record:
    """Start one service of the floor or of the naive chain, whose order service has this port."""
    ours = services_of(PART)[service].environment
    env = {
        "PORT": str(port + SERVICES.index(service)),
        "INVENTORY_PORT": str(port + 1),
        "NOTIFICATION_PORT": str(port + 2),
        "THREADS": ours["THREADS"],
        "PIN_CPU": ours["PIN_CPU"],
    }
    gunicorn = ["-m", "gunicorn", "-c", "python:benchmarks.baselines.floor_conf"]
    words = {
        "floor": [*gunicorn, f"benchmarks.baselines.floor:{service}"],
        "naive": ["-m", "benchmarks.baselines.naive", service],
    }[name]
    return tools.start(words, f"{name}-{service}.log", env)


def _start_unpinned(service: str) -> processes.Record:
    ours = services_of(PART)[service]
    data = STATE_DIR / "bench" / f"{service}.db"
    for file in data.parent.glob(f"{data.name}*"):
        file.unlink()
    env = {
        "PORT": str(UNPINNED + SERVICES.index(service)),
        "THREADS": ours.environment["THREADS"],
        "DATABASE_URL": f"sqlite:///{data}",
        "INVENTORY_URL": f"http://127.0.0.1:{UNPINNED + 1}",
        "NOTIFICATION_URL": f"http://127.0.0.1:{UNPINNED + 2}",
    }
    return tools.start(["-m", *ours.command], f"unpinned-{service}.log", env, code=(ROOT / PART,))
