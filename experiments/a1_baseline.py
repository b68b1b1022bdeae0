"""A1: what we expect of the healthy system."""

from lab.checker.predictions import Run, at_least, equals

LOADS = ("warm", "one", "twenty", "open20", "open100")


def predictions(run: Run):
    errors = sum(run.load(name).not_accepted for name in LOADS)
    twenty, slow, fast, random = (run.load(name) for name in ("twenty", "open20", "open100", "poisson100"))
    yield equals("a1-errors", "Orders that were not done, in all loads", errors, 0, unit="orders")
    clients = twenty.params["clients"]
    text = f"Mean latency of {clients:g} clients (Little's law): {clients:g} ÷ throughput"
    yield equals("a1-littles-law", text, twenty.mean, clients / twenty.achieved, within="15%", unit="s")
    for name, load in (("20", slow), ("100", fast)):
        text = f"At {name} orders/s the throughput equals the rate"
        yield equals(f"a1-keeps-up-{name}", text, load.achieved, load.params["rate"], within="5%", unit="orders/s")
    text = "Poisson arrivals queue more than even arrivals: ratio of their p95"
    yield at_least("a1-poisson-queues", text, random.percentile(0.95) / fast.percentile(0.95), 1, unit="times")
