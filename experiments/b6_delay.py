"""B6: what we expect of a slow inventory behind a queue."""

from lab.checker.predictions import Run, at_most, equals


def predictions(run: Run):
    healthy, delayed = run.load("healthy"), run.load("delayed")
    slow, waiting = run.fault("inventory", "delay"), run.backlog("inventory")
    rate, delay = delayed.params["rate"], slow.value
    first, many = waiting.resumed(slow.since + 1), 2 if run.quick else 8  # orders, counted from the first slow one
    text = "The reply is as quick as before: p50 delayed ÷ p50 healthy, at the same rate"
    ratio = delayed.percentile(0.5) / healthy.percentile(0.5)
    yield at_most("b6-reply-is-as-quick", text, ratio, 1.5 if run.quick else 1.2, unit="times")
    yield equals("b6-all-accepted", "Orders that were not accepted", delayed.not_accepted, 0, unit="orders")
    text = f"Orders done by one consumer that takes {delay:g} s for each order"
    done = waiting.rate(first - delay / 2, first + delay * (many - 0.5))
    yield equals("b6-done", text, done, 1 / delay, within="10%", unit="orders/s")
    growth = waiting.growth(slow.since + 1, delayed.began + delayed.params["seconds"] - 0.5)
    text, near = "Growth of the backlog: rate − 1 ÷ delay", "5%" if run.quick else "2%"
    yield equals("b6-backlog-grows", text, growth, rate - 1 / delay, within=near, unit="orders/s")
    text = "Time to drain after the reset: one last delay and the backlog"
    yield at_most("b6-drained", text, waiting.drained(slow.until) - slow.until, delay + 2, unit="s")
    text = "Accepted orders whose student was notified in the end"
    yield equals("b6-all-notified", text, delayed.ended_as("notified"), delayed.ok, unit="orders")
