"""What we expect when every event comes a second time."""

from lab.checker.predictions import Run, equals


def predictions(run: Run):
    load = run.load("placed")
    text = "Events that came a second time"
    yield equals("comes-again-published", text, run.published("again"), load.ok, unit="events")
