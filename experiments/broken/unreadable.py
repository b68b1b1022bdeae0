"""What we expect of messages that nobody can read, among good orders."""

from lab.checker.predictions import Run, equals


def predictions(run: Run):
    load = run.load("mixed")
    text = "Messages that nobody can read and that are put aside, each once and with its reason"
    yield equals("unreadable-put-aside", text, run.dead_lettered_once("bad"), run.published("bad"), unit="messages")
    text = "Good orders among them whose student was notified"
    yield equals("unreadable-good-orders-done", text, load.ended_as("notified"), load.sent, unit="orders")
