"""Part A: its services over HTTP in memory, at the level of the adapter of `requests`."""

import re
from collections.abc import Mapping, Sequence
from importlib import import_module
from types import MappingProxyType
from typing import Any

from lab.simulation.core import Simulation
from lab.simulation.part import Action
from lab.simulation.process import Process
from lab.simulation.rest.network import CUTS, LOST, REPLY_LOST, Adapter, Network

PROCESSES = ("order", "inventory", "notification")
REPLICA = "order-2"  # it is started by an action only
ABANDONED = "SELECT order_id FROM orders WHERE reason = 'interrupted'"
_ORDER_ONE: Action = ["order", "burger", 1]
_FAILS = {"failure_rate": 1.0, "failure_mode": "error", "expires_in": 2.0}
_ORDER = re.compile(rb'"order_id":"([^"]+)"')


class RestPart:
    """The transport of Part A."""

    name = "sync-rest"
    broker: str | None = None
    apps: Mapping[str, str] = {name: f"{name.partition('-')[0]}_service.app" for name in (*PROCESSES, REPLICA)}
    replicas: Mapping[str, str] = MappingProxyType({})  # it is among `apps`, and a schedule starts it
    effects = ("request:before", "request:after")
    words: Mapping[str, str] = {"cut": "After {1} more calls of {0}, the next one is {2}."}
    actions: Mapping[str, Sequence[Action]] = {
        "cut": [["cut", "order", skipped, cut] for skipped in (0, 1, 2) for cut in CUTS],
        "replica": [["start", REPLICA]],
        # A request stands still with an order that is stored and whose outcome is not.
        "late": [["hold", "order", effect, n, 0.01] for effect in ("commit:after", "request:before") for n in (1, 3)],
    }
    scouts: Sequence[list[Action]] = (
        [["cut", "order", 0, LOST], ["cut", "order", 0, LOST], _ORDER_ONE, ["run", 16.0]],
        [["cut", "order", 0, REPLY_LOST], ["cut", "order", 1, LOST], _ORDER_ONE, ["run", 16.0]],
        [["configure", "inventory", _FAILS], ["cut", "order", 1, LOST], _ORDER_ONE, ["run", 16.0]],
    )

    def patch(self) -> None:
        """Put the network in memory in the place of the adapter."""
        client = import_module("campus.service_client").__dict__
        client["_Adapter"] = lambda url: Adapter(url, lambda: self.network, _order_of)

    def env(self, _process: str) -> dict[str, str]:
        """Nothing: the services' usual addresses are those of the network in memory."""
        return {}

    def begin(self, sim: Simulation) -> None:
        """Begin with an empty network."""
        self.sim, self.network = sim, Network(sim)

    def started(self, process: Process) -> None:
        """Nothing is kept open."""

    def died(self, process: Process) -> None:
        """What others asked of it is answered by a reset, in `Network.send`."""
        self.network.cuts.pop(process.name, None)

    def tick(self) -> None:
        """Let late requests arrive."""
        self.network.tick()

    def receive(self, process: Process) -> None:
        """Nothing: a request is handled as it comes."""

    def perform(self, action: Action) -> None:
        """Do one of this part's actions: let something happen to a call of a process."""
        _, name, skipped, cut = action
        self.network.cuts.setdefault(name, []).extend([*[None] * skipped, cut])

    def heal(self) -> None:
        """The network carries every call; what is late still comes."""
        self.network.cuts.clear()

    def waits_for(self) -> str | None:
        """Return how many requests are still on their way."""
        return f"{len(self.network.late)} requests are on their way" if self.network.late else None

    def state(self) -> list[dict[str, Any]]:
        """Nothing: there is no broker."""
        return []

    def promises(self) -> list[tuple[str, str]]:
        """No process gives up an order whose own process works: it is interrupted only when that one is."""
        entries = [entry for entry in self.sim.trace.entries if entry.source.startswith("order")]
        excused = any(e.kind in ("crash", "fault") or (e.kind == "still" and _stops(e.text)) for e in entries)
        with self.sim.disks["order"].look() as tx:
            orders = [] if excused else tx.execute(ABANDONED).fetchall()
        return [
            ("abandoned", f"{order_id} was taken for abandoned while its process worked on it")
            for (order_id,) in orders
        ]


def _stops(still: str) -> bool:
    """Whether a process that stands still like this does not say any more that it lives."""
    return "all of it" in still or "(lease)" in still


def _order_of(body: bytes | None, path: str) -> str:
    found = _ORDER.search(body or b"")
    return found.group(1).decode() if found else path.rpartition("/")[2]
