"""Compared: what we expect when inventory stands still."""

from lab.checker.predictions import Run, at_least, at_most, equals


def predictions(run: Run):
    load = run.load("orders")
    seconds, least = (1, 0) if run.quick else (30, 1)  # as in frame.sh; with --quick nobody's time-out is reached
    p99 = load.percentile(0.99)
    text = "Accepted orders whose student is notified in the end: all"
    yield at_least("inventory-frozen-all-notified", text, load.ended_as("notified"), load.ok, unit="orders")
    if run.part == "sync-rest":
        text = "Orders whose client was told 504 and cannot know"
        yield at_least("inventory-frozen-504", text, load.count("504"), least, unit="orders")
        yield at_least("inventory-frozen-reply-waits", "Who orders waits (p99)", p99, 0.5 * seconds, unit="s")
    else:
        yield equals(
            "inventory-frozen-all-accepted", "Orders that were not accepted", load.not_accepted, 0, unit="orders"
        )
        text = "Who orders does not feel it (reply, p99)"
        yield at_most("inventory-frozen-reply-is-quick", text, p99, 0.5, unit="s")
