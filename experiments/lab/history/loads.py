"""Sends a load, and records it in the run that is under way, if there is one."""

import time

from lab.history.model import Run
from lab.history.recorder import Journal
from lab.load import bulk, generator
from lab.load.generator import Plan


def run(plan: Plan, url: str, journal: Journal | None) -> Run:
    """Send the orders of a load to an order service, and return what its clients saw as a run of its own."""
    now = journal.now if journal else generator.monotonic_since(time.monotonic())
    if journal:
        journal.note(type="begins", phase=plan.phase)
    drive = bulk.run if plan.loop == "bulk" else generator.run
    lines, began, until = drive(plan, url, now)
    phase = {"at": round(began, 6), "type": "phase", "phase": plan.phase, "params": plan.params()}
    phase["until"] = round(until, 6)
    if journal:
        journal.append(f"load-{plan.phase}", [phase, *lines])
    return Run({}, [phase, *lines])
