"""What we expect when the broker dies with what it was sent."""

from lab.checker.predictions import Run, at_least, equals


def predictions(run: Run):
    load = run.load("frozen")
    if run.part == "streaming-kafka":
        text = "Orders that were sent to a broker that stood still, and whose client hears that nobody knows"
        yield at_least("broker-dies-unknown", text, load.unknown, 1, unit="orders")
    else:
        yield equals("broker-dies-refused", "Orders that were refused", load.refused, 0, unit="orders")
