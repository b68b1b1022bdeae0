"""C5: what we expect while Kafka is down."""

from lab.checker.predictions import Run, at_least, at_most, equals

SOON = 5  # s, until an answer


def predictions(run: Run):
    load, outage = run.load("outage"), run.fault("kafka", "killed")
    rate = load.params["rate"]
    text, least = "Orders that were not accepted: at least rate × outage", 0.9 * rate * (outage.until - outage.since)
    yield at_least("c5-not-accepted", text, load.not_accepted, least, unit="orders")
    text = "Orders with an unknown outcome: at most those of the first 5 s"
    yield at_most("c5-unknown", text, load.unknown, 5 * rate, unit="orders")
    yield at_most("c5-503-soon", "A refusal comes soon (503, max)", load.error_latency("503", 1), SOON, unit="s")
    text = f"Answers that leave the outcome open and do not come soon (504, after more than {SOON} s)"
    yield equals("c5-504-soon", text, load.later_than("504", SOON), 0, unit="orders")
    text = "Time from the broker's return to the first accepted order"
    yield at_most("c5-accepts-again", text, load.first_ok(outage.since + 1) - outage.until, 8, unit="s")
    text = "Acknowledged orders, and unknown orders that were published again, whose student was notified"
    yield equals("c5-all-notified", text, load.ended_as("notified"), load.ok + load.unknown, unit="orders")
    text = "Messages that were dead-lettered"
    yield equals("c5-dead-letters", text, run.dead_letters("order-events"), 0, unit="messages")
