"""D4: what we expect when one of two inventories goes away."""

from lab.checker.predictions import Run, at_most, equals, smallest

SESSION = 10  # s until Kafka gives the partitions of a silent member to the others
HEARTBEAT = 60  # s, at most, until RabbitMQ closes the connection of a silent client
TAKE_OVER = 5  # s: to notice, to rebalance or to redeliver, and to do what waited


def predictions(run: Run):
    killed, frozen, rolling = (run.load(name) for name in ("killed", "frozen", "rolling"))
    in_kafka = run.part == "streaming-kafka"
    for load in (killed, frozen, rolling):
        name = load.label.split('"')[1]
        yield equals(
            f"d4-accepted-{name}", f"{name}: orders that were not accepted", load.not_accepted, 0, unit="orders"
        )
        text = f"{name}: accepted orders whose student was notified in the end"
        yield equals(f"d4-notified-{name}", text, load.ended_as("notified"), load.ok, unit="orders")
    away = run.fault("inventory.1", "killed").duration
    most = smallest(SESSION if in_kafka else 0, away) + TAKE_OVER
    text = "Killed: the longest wait for a notification, until the other has taken over"
    yield at_most("d4-killed-wait", text, killed.completed(1.0), most, unit="s")
    away = run.fault("inventory.1", "frozen").duration
    most = smallest(SESSION if in_kafka else HEARTBEAT, away) + TAKE_OVER
    text = "Frozen: the longest wait for a notification, of what the frozen replica held"
    yield at_most("d4-frozen-wait", text, frozen.completed(1.0), most, unit="s")
    text = "Rolling restart: the longest wait for a notification"
    yield at_most("d4-rolling-wait", text, rolling.completed(1.0), TAKE_OVER, unit="s")
    yield equals("d4-nothing-twice", "Orders that were done twice", run.duplicated, 0, unit="orders")
    yield equals("d4-nothing-lost", "Accepted orders that were lost", run.lost, 0, unit="orders")
