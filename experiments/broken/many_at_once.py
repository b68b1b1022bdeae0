"""What we expect when many students order at once."""

from lab.checker.predictions import Run, equals


def predictions(run: Run):
    load = run.load("crowd")
    yield equals("many-at-once-sent", "Orders that were sent", load.sent, load.params["count"], unit="orders")
