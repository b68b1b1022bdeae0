"""Compared: what we expect while notification is down."""

from lab.checker.predictions import Run, at_least, at_most


def predictions(run: Run):
    load = run.load("orders")
    text = "Accepted orders whose student is notified in the end: all"
    yield at_least("notification-killed-all-notified", text, load.ended_as("notified"), load.ok, unit="orders")
    text = "Orders that were not accepted"
    yield at_most("notification-killed-all-accepted", text, load.not_accepted, 1, unit="orders")
