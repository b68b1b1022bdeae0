"""C1: what we expect of 10,000 orders in one request."""

from lab.checker.predictions import Run, at_least, at_most, equals

GROUPS = ("inventory", "notification", "analytics")


def predictions(run: Run):
    burst, count = run.load("burst"), run.load("burst").params["count"]
    waiting, before, after = run.backlog("inventory"), run.report("before"), run.report("after")
    yield equals("c1-acknowledged", "Orders that Kafka acknowledged", burst.ok, count, unit="orders")
    text = "Students who were notified in the end"
    yield equals("c1-all-notified", text, burst.ended_as("notified"), burst.ok, unit="orders")
    reserving = waiting.finished() - burst.began  # s, until the last order was reserved
    text = "Producing is faster than inventory: produced a second ÷ reserved a second"
    yield at_least("c1-producing-is-faster", text, (burst.ok / burst.seconds) / (burst.ok / reserving), 1, unit="times")
    text, lag = "Largest lag of inventory: at most the orders produced", run.lag("inventory").peak()
    yield at_most("c1-lag-at-most", text, lag, count, unit="records")
    text = "Largest lag of inventory: at least a hundredth of the orders"
    yield at_least("c1-lag-is-seen", text, lag, 0.01 * count, unit="records")
    text = "Lag of the three groups at the end"
    yield equals("c1-no-lag-left", text, sum(run.lag(group).at_end for group in GROUPS), 0, unit="records")
    seen, verdicts = (after[name] - before[name] for name in ("totalOrdersSeen", "totalInventoryEvents"))
    yield equals("c1-orders-counted", "Orders that analytics saw", seen, burst.ok, unit="orders")
    yield equals("c1-verdicts-counted", "Inventory's results that analytics saw", verdicts, burst.ok, unit="orders")
