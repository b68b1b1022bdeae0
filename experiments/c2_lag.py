"""C2: what we expect of the consumer lag: normal, throttled, released."""

from lab.checker.predictions import Run, at_least, at_most, equals, smallest

ONE = 0.015  # s, the time that inventory takes for one order alone: two transactions
PARTITIONS = 6
SPEED_UP = 8  # inventory drains at least this many times faster than orders arrive


def predictions(run: Run):
    normal, throttled, released = loads = [run.load(name) for name in ("normal", "throttled", "released")]
    lag, waiting, slow = run.lag("inventory"), run.backlog("inventory"), run.fault("inventory", "throttle")
    rate, until = throttled.params["rate"], slow.until
    first, last = slow.since + 1, throttled.began + throttled.params["seconds"] - 0.5  # while it grows
    growth = rate - 1 / (slow.value + ONE)  # a second
    empty = waiting.drained(until)
    text = "Normal: lag at the end of the phase"
    yield at_most("c2-normal-lag", text, lag.at(normal.began + normal.params["seconds"]), rate, unit="records")
    text = f"Throttled: growth of the lag is rate − 1 ÷ (throttle + {ONE} s)"
    yield equals("c2-lag-grows", text, lag.growth(first, last), growth, within="8%", unit="records/s")
    text, grew = "Throttled: growth of the backlog is the same", waiting.growth(first, last)
    yield equals("c2-backlog-grows", text, grew, growth, within="8%", unit="orders/s")
    text = "The lag grows in every partition: smallest of the six ÷ mean"
    share = smallest(*(lag.of_partition(number, until) for number in range(PARTITIONS))) / (lag.at(until) / PARTITIONS)
    yield at_least("c2-every-partition", text, share, 0.1 if run.quick else 0.3, unit="times")
    text = "Released: the drain rate is many times the arrival rate"
    yield at_least("c2-drain-rate", text, waiting.rate(until, empty), SPEED_UP * rate, unit="orders/s")
    text = "Released: time to drain, at most lag ÷ (drain rate − rate), and one throttle"
    most = waiting.at(until) / (SPEED_UP * rate - rate) + slow.value
    yield at_most("c2-drained", text, empty - until, most, unit="s")
    text, notified = (
        "Accepted orders whose student was notified in the end",
        sum(load.ended_as("notified") for load in loads),
    )
    yield equals("c2-all-notified", text, notified, normal.ok + throttled.ok + released.ok, unit="orders")
