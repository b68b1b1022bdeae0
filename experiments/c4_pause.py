"""C4: what we expect while inventory is frozen, and when it continues."""

from lab.checker.predictions import Run, at_most, equals

PARTITIONS = 6
REJOIN = 5  # s, to join the group again
SPEED_UP = 10  # inventory drains at least this many times faster than orders arrive


def predictions(run: Run):
    load, freeze, unfinished = run.load("frozen"), run.fault("inventory", "frozen"), run.backlog("completion")
    rate, since, until = load.params["rate"], freeze.since, freeze.until
    yield equals("c4-all-accepted", "Orders that were not accepted", load.not_accepted, 0, unit="orders")
    text = "The reply is as quick as before: p50 during the freeze ÷ p50 before"
    ratio = load.percentile(0.5, since, until) / load.percentile(0.5, 0, since)
    yield at_most("c4-reply-is-as-quick", text, ratio, 1.5 if run.quick else 1.2, unit="times")
    text = "3 s after inventory froze, Kafka believes that it is alive: partitions with an owner"
    yield equals("c4-still-owned", text, run.owned_partitions("3 s after", "inventory"), PARTITIONS, unit="partitions")
    text = "After its session of 10 s Kafka has evicted it: partitions with an owner"
    yield equals("c4-evicted", text, run.owned_partitions("11 s after", "inventory"), 0, unit="partitions")
    text, room, peak = "Largest lag: rate × freeze", "10%" if run.quick else "5%", run.lag("inventory").peak()
    yield equals("c4-lag-peak", text, peak, rate * (until - since), within=room, unit="records")
    text = "After the freeze: time until it has joined the group and drained the backlog"
    most = REJOIN + run.backlog("inventory").at(until) / (SPEED_UP * rate)
    yield at_most("c4-drained", text, unfinished.drained(until) - until, most, unit="s")
    text = "Afterwards: partitions with an owner"
    yield equals("c4-owned-again", text, run.owned_partitions("back", "inventory"), PARTITIONS, unit="partitions")
    text = "Accepted orders whose student was notified in the end"
    yield equals("c4-all-notified", text, load.ended_as("notified"), load.ok, unit="orders")
    text = "Messages that were dead-lettered"
    yield equals("c4-dead-letters", text, run.dead_letters("order-events"), 0, unit="messages")
