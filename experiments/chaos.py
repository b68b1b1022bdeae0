"""Chaos: what we expect of any faults, whatever the seed draws."""

from lab.checker.predictions import Run, at_least, equals


def predictions(run: Run):
    load = run.load("chaos")
    yield equals("chaos-lost", "Acknowledged orders that were lost", run.lost, 0, unit="orders")
    yield equals("chaos-duplicated", "Orders that were done twice", run.duplicated, 0, unit="orders")
    yield equals("chaos-unresolved", "Orders left open after settling", run.unresolved, 0, unit="orders")
    planned = load.params["rate"] * load.params["seconds"]
    yield equals("chaos-sent", "Orders that were sent", load.sent, planned, within=1, unit="orders")
    text = "Orders whose student was notified: it was chaos, and not an outage"
    yield at_least("chaos-notified", text, load.ended_as("notified"), load.sent / 5, unit="orders")
    text = "Faults that were really done, of those that the seed drew"
    yield at_least("chaos-faults", text, run.faults_done(), run.faults_drawn * 2 / 3, unit="faults")
    yield at_least("chaos-kills", "Among them kills", run.faults_done("kill"), 1, unit="faults")
    yield at_least("chaos-freezes", "and freezes", run.faults_done("freeze"), 1, unit="faults")
