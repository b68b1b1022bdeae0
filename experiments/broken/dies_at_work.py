"""What we expect when a consumer dies at its work."""

from lab.checker.predictions import Run, equals


def predictions(run: Run):
    load = run.load("waiting")
    yield equals("dies-at-work-all-accepted", "Orders that were not accepted", load.not_accepted, 0, unit="orders")
