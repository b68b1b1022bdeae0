"""A6: what we expect of a frozen inventory, from an open and from a closed load."""

from lab.checker.predictions import Run, at_most, equals, largest

WAITED = 0.1  # s: an order that took longer waited for inventory


def predictions(run: Run):
    open_loop, closed = run.load("open"), run.load("closed")
    frozen, total = run.fault("inventory", "frozen").duration, open_loop.params["seconds"]
    for share in (0.75, 0.9, 0.99):
        law = largest(0, (share - 1 + frozen / total) * total)
        text = f"Open loop: the quantile {share} is (q − 1 + F/T)·T"
        yield equals(f"a6-open-p{100 * share:g}", text, open_loop.percentile(share), law, within="10%", unit="s")
    text = "Open loop: share of orders that took longer than 0.1 s is F ÷ T"
    yield equals("a6-open-share", text, open_loop.slower_than(WAITED), frozen / total, within="10%", unit="%")
    text = "Closed loop, same freeze: p99 does not show it"
    yield at_most("a6-closed-p99", text, closed.percentile(0.99), 0.1, unit="s")
    text = "Closed loop: orders that took longer than 0.1 s"
    yield at_most("a6-closed-waited", text, closed.slower_than(WAITED) * closed.sent, 2, unit="orders")
