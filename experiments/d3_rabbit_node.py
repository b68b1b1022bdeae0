"""D3: what we expect while one of three RabbitMQ nodes is down, and while two are."""

from lab.checker.predictions import Run, at_most, equals, smallest

QUEUES = ("order-placed", "inventory-reserved", "order-status")
ELECTED = 10  # s, until the queues have other leaders, and the clients other nodes
RECOVERY = 15  # s, from the return of a second node until nothing waits


def predictions(run: Run):
    one, two, second = run.load("one"), run.load("two"), run.fault("rabbitmq.2", "killed")
    rate, end = two.params["rate"], two.began + two.params["seconds"]
    refused = one.not_accepted + two.not_accepted
    yield equals("d3-all-accepted", "Orders that were not accepted", refused, 0, unit="orders")
    text = "One node killed: the longest time from an order to its notification"
    yield at_most("d3-one-late", text, one.completed(1.0), ELECTED, unit="s")
    text, fullest = (
        "Two nodes killed: largest outbox, rate × time",
        run.queue_peak("outbox", second.since, second.until),
    )
    missed = rate * (smallest(second.until, end) - second.since)
    yield equals("d3-outbox-peak", text, fullest, missed, within="15%", unit="events")
    text = "Time to drain after the return of a second node"
    drained = run.backlog("completion").drained(second.until)
    yield at_most("d3-drained", text, drained - second.until, RECOVERY, unit="s")
    text = "Accepted orders whose student was notified in the end"
    done = one.ended_as("notified") + two.ended_as("notified")
    yield equals("d3-all-notified", text, done, one.ok + two.ok, unit="orders")
    given_up = sum(run.dead_letters(queue) for queue in QUEUES)
    yield equals("d3-dead-letters", "Messages that were dead-lettered", given_up, 0, unit="messages")
