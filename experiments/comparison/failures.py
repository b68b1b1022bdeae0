"""Compared: what we expect when inventory fails 30 % of what it is asked."""

from lab.checker.predictions import Run, at_least, equals

SHARE = 0.3  # failure_rate, as in failures.sh


def predictions(run: Run):
    load = run.load("orders")
    seconds, room = (1, "80%") if run.quick else (30, "25%")  # of the failures, as in frame.sh
    text = "Accepted orders whose student is notified in the end: all"
    yield at_least("failures-all-notified", text, load.ended_as("notified"), load.ok, unit="orders")
    if run.part == "sync-rest":
        text = "Orders that are answered 502: 30 % of those that come meanwhile"
        failed = SHARE * load.params["rate"] * seconds
        yield equals("failures-502", text, load.count("502"), failed, within=room, unit="orders")
    else:
        yield equals("failures-all-accepted", "Orders that were not accepted", load.not_accepted, 0, unit="orders")
