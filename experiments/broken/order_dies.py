"""What we expect when the order service dies with what it has not told yet."""

from lab.checker.predictions import Run, equals


def predictions(run: Run):
    load = run.load("untold")
    text = "Orders that were not accepted while RabbitMQ stood still"
    yield equals("order-dies-all-accepted", text, load.not_accepted, 0, unit="orders")
