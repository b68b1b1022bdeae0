"""Compared: what we expect while the broker is down."""

from lab.checker.predictions import Run, at_least, equals


def predictions(run: Run):
    load = run.load("orders")
    down, share = (1, 0.4) if run.quick else (15, 0.7)  # s, as in broker_killed.sh; not all, as arrivals are random
    text = "Accepted orders whose student is notified in the end: all"
    yield at_least("broker-killed-all-notified", text, load.ended_as("notified"), load.ok, unit="orders")
    if run.part == "async-rabbitmq":
        yield equals("broker-killed-all-accepted", "Orders that were not accepted", load.not_accepted, 0, unit="orders")
    else:
        text, least = "Orders that are not accepted while Kafka is down", share * load.params["rate"] * down
        yield at_least("broker-killed-refused", text, load.not_accepted, least, unit="orders")
