"""B1: what we expect of the healthy system, at the reply and at the notification."""

from lab.checker.predictions import Run, at_most, equals

LOADS = ("warm", "one", "twenty", "open20", "open100")


def predictions(run: Run):
    room = "10%" if run.quick else "5%"
    errors = sum(run.load(name).not_accepted for name in LOADS)
    slow, fast = run.load("open20"), run.load("open100")
    yield equals("b1-errors", "Orders that were not accepted, in all loads", errors, 0, unit="orders")
    text = "Accepted orders that were completed, at 100 orders/s"
    yield equals("b1-all-completed", text, fast.ended_as("notified"), fast.ok, unit="orders")
    for name, load in (("20", slow), ("100", fast)):
        text, rate = f"At {name} orders/s: orders completed a second", load.params["rate"]
        yield equals(f"b1-completed-{name}", text, load.completed_rate, rate, within=room, unit="orders/s")
    text = "The reply does not wait for the notification: accepted ÷ completed (p50, 100 orders/s)"
    yield at_most("b1-reply-is-sooner", text, fast.percentile(0.5) / fast.completed(0.5), 0.7, unit="times")
    text = "At 100 orders/s orders are completed soon (p99)"
    yield at_most("b1-completed-soon", text, fast.completed(0.99), 0.1, unit="s")
