"""Compared: what we expect while the order service is down."""

from lab.checker.predictions import Run, at_least


def predictions(run: Run):
    load = run.load("orders")
    down, share = (1, 0.4) if run.quick else (10, 0.7)  # s, as in order_killed.sh; not all, as arrivals are random
    text = "Accepted orders whose student is notified in the end: all"
    yield at_least("order-killed-all-notified", text, load.ended_as("notified"), load.ok, unit="orders")
    text = "Orders that are not accepted while the order service is down"
    least = share * load.params["rate"] * down
    yield at_least("order-killed-not-accepted", text, load.not_accepted, least, unit="orders")
