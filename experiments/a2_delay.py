"""A2: what we expect of a slow inventory."""

from lab.checker.predictions import Run, at_most, equals

THREADS = 16  # of the order service


def predictions(run: Run):
    healthy, delayed, overload, after = (run.load(name) for name in ("healthy", "delayed", "overload", "after"))
    delay = run.fault("inventory", "delay").value
    can, rate = THREADS / delay, overload.params["rate"]
    filling = (THREADS - 1) / rate  # s until all threads are busy
    last = overload.sent / can + filling  # s until the last order is done
    waited = last - (overload.sent - 1) / rate
    slower = delayed.percentile(0.5) - healthy.percentile(0.5)
    text = f"Each order takes {delay:g} s longer (p50, below the capacity)"
    yield equals("a2-slower-by-delay", text, slower, delay, within="3%", unit="s")
    text = f"Beyond the capacity the throughput is threads ÷ delay (16 ÷ {rate:g} s pass until all threads are busy)"
    yield equals("a2-capacity", text, overload.achieved, overload.sent / last, within="5%", unit="orders/s")
    text = f"The last order waits for the queue before it and its own {delay:g} s"
    yield equals("a2-last-order", text, overload.longest, waited, within="5%", unit="s")
    text = "After the reset orders are fast again: p50 ÷ healthy p50"
    yield at_most("a2-fast-again", text, after.percentile(0.5) / healthy.percentile(0.5), 2, unit="times")
