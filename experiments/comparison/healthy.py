"""Compared: what we expect when nothing is wrong."""

from lab.checker.predictions import Run, at_least, at_most, equals


def predictions(run: Run):
    load = run.load("orders")
    ratio = load.completed(0.5) / load.percentile(0.5)
    text = "Accepted orders whose student is notified in the end: all"
    yield at_least("healthy-all-notified", text, load.ended_as("notified"), load.ok, unit="orders")
    yield equals("healthy-all-accepted", "Orders that were not accepted", load.not_accepted, 0, unit="orders")
    if run.part == "sync-rest":
        text = "The reply comes when the order is done: notified ÷ replied (p50)"
        yield at_most("healthy-reply-when-done", text, ratio, 1, unit="times")
    else:
        text = "The reply comes before the order is done: notified ÷ replied (p50)"
        yield at_least("healthy-reply-before-done", text, ratio, 1, unit="times")
