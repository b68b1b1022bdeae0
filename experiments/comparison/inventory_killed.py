"""Compared: what we expect while inventory is down."""

from lab.checker.predictions import Run, at_least, equals


def predictions(run: Run):
    load = run.load("orders")
    down, share = (1, 0.4) if run.quick else (30, 0.7)  # s, as in frame.sh; not all, as arrivals are random
    text = "Accepted orders whose student is notified in the end: all"
    yield at_least("inventory-killed-all-notified", text, load.ended_as("notified"), load.ok, unit="orders")
    if run.part == "sync-rest":
        text, least = "Orders that are refused while inventory is down", share * load.params["rate"] * down
        yield at_least("inventory-killed-refused", text, load.not_accepted, least, unit="orders")
    else:
        yield equals(
            "inventory-killed-all-accepted", "Orders that were not accepted", load.not_accepted, 0, unit="orders"
        )
