"""What we expect when inventory answers too late."""

from lab.checker.predictions import Run, equals


def predictions(run: Run):
    load = run.load("late")
    text = "Orders that run into the time-out, and are answered 504"
    yield equals("too-slow-504", text, load.count("504"), load.sent, unit="orders")
