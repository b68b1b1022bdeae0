"""What we expect when the broker dies with what it was sent."""

from lab.checker.predictions import Run, equals


def predictions(run: Run):
    load = run.load("frozen")
    yield equals("broker-dies-refused", "Orders that were refused", load.refused, 0, unit="orders")
