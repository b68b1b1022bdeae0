"""B5: what we expect while the broker is down."""

from lab.checker.predictions import Run, at_most, equals, smallest

QUEUES = ("order-placed", "inventory-reserved", "order-status")
RECOVERY = 1 + 2 + 1  # s: to connect, for the relay, for the backlog


def predictions(run: Run):
    load, outage = run.load("outage"), run.fault("rabbitmq", "killed")
    rate, end = load.params["rate"], load.began + load.params["seconds"]
    missed = rate * (smallest(outage.until, end) - outage.since)
    yield equals("b5-all-accepted", "Orders that were not accepted", load.not_accepted, 0, unit="orders")
    during, before = load.percentile(0.5, outage.since, outage.until), load.percentile(0.5, 0, outage.since)
    text = "The reply is as quick as before: p50 during the outage ÷ p50 before"
    yield at_most("b5-reply-is-as-quick", text, during / before, 1.5 if run.quick else 1.2, unit="times")
    text, fullest = "Largest outbox: rate × outage", run.queue_peak("outbox", outage.since, outage.until)
    yield equals("b5-outbox-peak", text, fullest, missed, within="10%", unit="events")
    text, waiting = "Backlog when the broker is back: rate × outage", run.backlog("inventory").at(outage.until)
    yield equals("b5-backlog", text, waiting, missed, within="3%", unit="orders")
    text = "Time to drain after the broker's return: 1 s to connect, 2 s for the relay, 1 s for the backlog"
    drained = run.backlog("completion").drained(outage.until)
    yield at_most("b5-drained", text, drained - outage.until, RECOVERY, unit="s")
    text = "Accepted orders whose student was notified in the end"
    yield equals("b5-all-notified", text, load.ended_as("notified"), load.ok, unit="orders")
    given_up = sum(run.dead_letters(queue) for queue in QUEUES)
    yield equals("b5-dead-letters", "Messages that were dead-lettered", given_up, 0, unit="messages")
