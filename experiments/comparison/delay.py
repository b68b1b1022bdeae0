"""Compared: what we expect when inventory takes 2 s for each order."""

from lab.checker.predictions import Run, at_least, at_most, equals


def predictions(run: Run):
    load, delay = run.load("orders"), run.fault("inventory", "delay").value
    p99 = load.percentile(0.99)
    text = "Accepted orders whose student is notified in the end: all"
    yield at_least("delay-all-notified", text, load.ended_as("notified"), load.ok, unit="orders")
    yield equals("delay-all-accepted", "Orders that were not accepted", load.not_accepted, 0, unit="orders")
    if run.part == "sync-rest":
        yield at_least("delay-reply-waits", "Who orders waits for the delay (p99)", p99, delay, unit="s")
    else:
        yield at_most("delay-reply-is-quick", "Who orders does not feel it (reply, p99)", p99, 0.5, unit="s")
    text = "The student is notified after the delay or later (max)"
    yield at_least("delay-notified-later", text, load.completed(1), delay, unit="s")
