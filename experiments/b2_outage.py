"""B2: what we expect while inventory is down."""

from lab.checker.predictions import Run, at_least, at_most, equals, smallest

SPEED_UP = 20  # inventory drains at least this many times faster than orders arrive
QUEUES = ("order-placed", "inventory-reserved", "order-status")


def predictions(run: Run):
    load, outage = run.load("outage"), run.fault("inventory", "killed")
    rate, end = load.params["rate"], load.began + load.params["seconds"]
    waiting, unfinished = run.backlog("inventory"), run.backlog("completion")
    back = waiting.resumed(outage.since + 1)  # the first order that the new process handled
    empty = unfinished.drained(back)
    yield equals("b2-all-accepted", "Orders that were not accepted", load.not_accepted, 0, unit="orders")
    during, before = load.percentile(0.5, outage.since, outage.until), load.percentile(0.5, 0, outage.since)
    text = "The reply is as quick as before: p50 during the outage ÷ p50 before"
    yield at_most("b2-reply-is-as-quick", text, during / before, 1.5 if run.quick else 1.2, unit="times")
    missed = rate * (smallest(back, end) - outage.since)
    text = f"Largest backlog: rate × outage = {rate:g}/s × {missed / rate:.1f} s, until it handles orders again"
    yield equals("b2-backlog-peak", text, waiting.peak(), missed, within="3%", unit="orders")
    text = "Drain rate, up to the notification: many times the arrival rate"
    yield at_least("b2-drain-rate", text, unfinished.rate(back, empty), SPEED_UP * rate, unit="orders/s")
    text = "Time to drain after inventory's return: at most backlog ÷ (drain rate − rate)"
    yield at_most("b2-drained", text, empty - back, waiting.peak() / (SPEED_UP * rate - rate), unit="s")
    text = "Accepted orders whose student was notified in the end"
    yield equals("b2-all-notified", text, load.ended_as("notified"), load.ok, unit="orders")
    given_up = sum(run.dead_letters(queue) for queue in QUEUES)
    yield equals("b2-dead-letters", "Messages that were dead-lettered", given_up, 0, unit="messages")
