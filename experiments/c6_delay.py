"""C6: what we expect of a slow inventory behind a log."""

from lab.checker.predictions import Run, at_most, equals


def predictions(run: Run):
    healthy, delayed = run.load("healthy"), run.load("delayed")
    slow, waiting = run.fault("inventory", "delay"), run.backlog("inventory")
    rate, seconds, delay = delayed.params["rate"], delayed.params["seconds"], slow.value
    first, many = waiting.resumed(slow.since + 1), 2 if run.quick else 8  # orders, counted from the first slow one
    text = "The reply is as quick as before: p50 delayed ÷ p50 healthy, at the same rate"
    ratio = delayed.percentile(0.5) / healthy.percentile(0.5)
    yield at_most("c6-reply-is-as-quick", text, ratio, 1.5 if run.quick else 1.2, unit="times")
    yield equals("c6-all-accepted", "Orders that were not accepted", delayed.not_accepted, 0, unit="orders")
    text = f"Orders done by one consumer that takes {delay:g} s for each order, with 6 partitions"
    done = waiting.rate(first - delay / 2, first + delay * (many - 0.5))
    yield equals("c6-done", text, done, 1 / delay, within="10%", unit="orders/s")
    growth = run.lag("inventory").growth(slow.since + 1, delayed.began + seconds - 0.5)
    text = "Growth of the lag: rate − 1 ÷ delay"
    yield equals("c6-lag-grows", text, growth, rate - 1 / delay, within="5%", unit="records/s")
    text = "Completed p50 of orders that wait for the reset: half the load, and one last delay"
    half = slow.until - delayed.began - 0.5 * seconds + 0.5 * delay
    yield equals("c6-completed", text, delayed.completed(0.5), half, within="30%" if run.quick else "10%", unit="s")
    text = "Time to drain after the reset: one last delay and the backlog"
    yield at_most("c6-drained", text, waiting.drained(slow.until) - slow.until, delay + 2, unit="s")
    text = "Accepted orders whose student was notified in the end"
    yield equals("c6-all-notified", text, delayed.ended_as("notified"), delayed.ok, unit="orders")
