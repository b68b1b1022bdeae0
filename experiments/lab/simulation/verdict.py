"""What came of a run: everything is healed, what is on its way arrives, and the checker of the experiments decides."""

from dataclasses import dataclass
from typing import Any

from campus import notifications, order_store, stock

from lab.checker import invariants
from lab.history.model import Run
from lab.simulation.core import Simulation
from lab.simulation.virtual_clock import EPOCH
from lab.verdict import FAIL

LIMIT = 35.0  # what waited for a fault goes on within 30 s of its end
ROUNDS = (0.25,) * 24 + (1.0,) * 40
SENTINEL = "after"  # an order that is sent after healing: it shows that things work again
_OPEN = "SELECT count(*) FROM orders WHERE status NOT IN ('notified', 'failed') OR pending IS NOT NULL"
ALL = 1000


@dataclass(frozen=True)
class Violation:
    """A broken promise: INV-1 to INV-8, LOG-1, `progress`, `infrastructure`, or one of a part's own."""

    id: str
    sentence: str
    subjects: tuple[str, ...] = ()  # the orders, operations or items that it is about


def decide(sim: Simulation) -> list[Violation]:
    """Heal and drain the run that was just played, and return the promises that it broke."""
    stuck = drain(sim)
    found = []
    for finding in invariants.check(evidence(sim)):
        if finding.verdict == FAIL:
            subjects = tuple(v["subject"] for v in finding.violations)
            found.append(Violation(finding.id, f"{finding.rule} {finding.sentence}", subjects))
    found += [Violation(id, sentence) for id, sentence in sim.part.promises()]
    return found + ([Violation("progress", stuck)] if stuck else [])


def drain(sim: Simulation) -> str | None:
    """End every fault and let all finish their work; return what is still open at the end, if anything is."""
    heal(sim)
    still, began = None, sim.clock.seconds
    for seconds in ROUNDS:
        sim.pass_time(seconds)
        for process in sim.processes.values():
            sim.step(process)
        still = waits_for(sim)
        if SENTINEL not in sim.clients.results and (still is None or sim.clock.seconds > began + LIMIT):
            sim.clients.order(SENTINEL, "burger", 1)
        elif still is None:
            return None
    return f"{sum(ROUNDS):.0f} s after everything was healed: {still}"


def heal(sim: Simulation) -> None:
    """End every fault."""
    sim.crash_at = set()
    sim.trace.add("note", "client", "everything is healed")
    sim.disks.heal()
    sim.part.heal()
    for process in sim.processes.values():
        process.arms = []
        if process.life or process.name == process.service:  # a replica that was never started is not missing
            sim.start(process)
        if process.memory.get("configured"):
            sim.clients.do_configure(process.name, {})


def waits_for(sim: Simulation) -> str | None:
    """Return what is not done yet."""
    with sim.disks["order"].look() as tx:
        count = tx.execute(_OPEN).fetchone()[0]
    return f"{count} orders are not final" if count else sim.part.waits_for()


def evidence(sim: Simulation) -> Run:
    """Return the run as an experiment would have left it."""
    state: list[dict[str, Any]] = []
    with sim.disks["order"].look() as tx:
        state += [{"what": "order"} | order.as_dict() for order in order_store.page(tx, after="", limit=ALL)]
    with sim.disks["inventory"].look() as tx:
        state += [{"what": "reservation"} | row for row in stock.page(tx, after="", limit=ALL)]
        state += [{"what": "stock", "sku": sku} | level for sku, level in stock.levels(tx).items()]
    with sim.disks["notification"].look() as tx:
        state += [{"what": "notification"} | row for row in notifications.page(tx, after="", limit=ALL)]
    return Run({"began_at": EPOCH.isoformat()}, sim.clients.history, state + sim.part.state())
