"""Sends a load, and records it in the run that is under way, if there is one."""

import time

from lab.history.machine import Machine
from lab.history.model import Run
from lab.history.recorder import RunRecorder
from lab.load import bulk, generator
from lab.load.generator import Plan


def run(plan: Plan, url: str, recorder: RunRecorder | None) -> Run:
    """Send the orders of a load to an order service, and return what its clients saw as a run of its own."""
    now = recorder.now if recorder else generator.monotonic_since(time.monotonic())
    machine = Machine() if recorder else None
    if recorder:
        recorder.record(type="begins", phase=plan.phase)
    drive = bulk.run if plan.loop == "bulk" else generator.run
    sent, began, until = drive(plan, url, now)
    lines = [*sent]
    phase = {"at": round(began, 6), "type": "phase", "phase": plan.phase, "params": plan.params()}
    phase["until"] = round(until, 6)
    if recorder and machine:
        recorder.record(type="machine", phase=plan.phase, **machine.seen())
        recorder.append(f"load-{plan.phase}", [phase, *lines])
    return Run({}, [phase, *lines])
