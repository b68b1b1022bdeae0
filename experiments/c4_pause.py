"""C4: what we expect while inventory stands still, and when it comes back."""

from lab.checker.predictions import Run, at_most, equals

PARTITIONS = 6
REJOIN = 5  # s, to join the group again
SPEED_UP = 10  # inventory drains at least this many times faster than orders come


def predictions(run: Run):
    load, freeze, unfinished = run.load("frozen"), run.fault("inventory", "frozen"), run.backlog("completion")
    rate, since, until = load.params["rate"], freeze.since, freeze.until
    yield equals("c4-all-accepted", "Orders that were not accepted", load.not_accepted, 0, unit="orders")
    text = "The reply does not feel it: p50 while frozen ÷ before"
    ratio = load.percentile(0.5, since, until) / load.percentile(0.5, 0, since)
    yield at_most("c4-reply-is-as-quick", text, ratio, 1.5 if run.quick else 1.2, unit="times")
    text = "3 s after it froze, Kafka still counts on it: partitions that have an owner"
    yield equals("c4-still-owned", text, run.owned_partitions("3 s after", "inventory"), PARTITIONS, unit="partitions")
    text = "After its session of 10 s nobody owns them"
    yield equals("c4-evicted", text, run.owned_partitions("11 s after", "inventory"), 0, unit="partitions")
    text, room, peak = "Lag at its largest: rate × pause", "10%" if run.quick else "5%", run.lag("inventory").peak()
    yield equals("c4-lag-peak", text, peak, rate * (until - since), within=room, unit="records")
    text = "Back again: joined, and no order waits any more"
    most = REJOIN + run.backlog("inventory").at(until) / (SPEED_UP * rate)
    yield at_most("c4-drained", text, unfinished.drained(until) - until, most, unit="s")
    text = "and it owns its partitions again"
    yield equals("c4-owned-again", text, run.owned_partitions("back", "inventory"), PARTITIONS, unit="partitions")
    text = "Accepted orders whose student was notified in the end"
    yield equals("c4-all-notified", text, load.ended_as("notified"), load.ok, unit="orders")
    text = "Messages that were given up"
    yield equals("c4-dead-letters", text, run.dead_letters("order-events"), 0, unit="messages")
