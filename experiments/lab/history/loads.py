"""Sends a load, and records it in the run that is under way, if there is one."""

import time

from lab.errors import LabError
from lab.history.machine import Machine
from lab.history.model import Run
from lab.history.recorder import RunRecorder
from lab.load import bulk, generator
from lab.load.generator import Plan


def run(plan: Plan, url: str, recorder: RunRecorder | None) -> Run:
    """Send the orders of a load to an order service, and return what its clients saw as a run of its own.

    Raises LabError when another load of the run has orders of the same names: they could not be told apart.
    """
    now = recorder.now if recorder else generator.monotonic_since(time.monotonic())
    machine = Machine() if recorder else None
    for line in recorder.lines() if recorder else ():
        if line["type"] == "begins" and line["phase"] == plan.phase:
            raise LabError(f"this run has had a load {plan.phase}", "give each load a name of its own")
        bulk_before = plan.bulk and line["type"] == "phase" and line["params"]["loop"] == "bulk"
        if bulk_before and line["params"]["seed"] == plan.seed:
            raise LabError(f"the load {line['phase']} sent the orders of seed {plan.seed}", "--seed ANOTHER")
    if recorder:
        recorder.record(type="begins", phase=plan.phase)
    drive = bulk.run if plan.loop == "bulk" else generator.run
    sent, began, until = drive(plan, url, now)
    phase = {"at": round(began, 6), "type": "phase", "phase": plan.phase, "params": plan.params()}
    lines = [phase | {"until": round(until, 6)}, *sent]
    if recorder and machine:
        recorder.record(type="machine", phase=plan.phase, **machine.seen())
        recorder.append(f"load-{plan.phase}", lines)
    return Run({}, lines)
