"""D2: what we expect while one of three Kafka nodes is down, and while two are."""

from lab.checker.predictions import Run, at_least, at_most, equals

ELECTED = 10  # s, until other nodes lead the partitions of a killed one, and the clients know it
SOON = 5  # s, until an answer


def predictions(run: Run):
    one, two = run.load("one"), run.load("two")
    first, second = run.fault("kafka.1", "killed"), run.fault("kafka.2", "killed")
    rate = two.params["rate"]
    text = "One node killed: the longest wait of an accepted order"
    yield at_most("d2-one-late", text, one.percentile(1.0, first.since), ELECTED, unit="s")
    text = "One node killed: orders that were sent 10 s after it and refused"
    yield equals("d2-one-refused-later", text, one.refused_after(first.since + ELECTED), 0, unit="orders")
    text = "One node killed: orders with an unknown outcome, at most those of 10 s"
    yield at_most("d2-one-unknown", text, one.unknown, ELECTED * rate, unit="orders")
    text = "Two nodes killed: orders that were refused (503), at least rate × (time − 5 s)"
    least = rate * (second.until - second.since - SOON)
    yield at_least("d2-two-refused", text, two.count("503"), least, unit="orders")
    text = (
        "Two nodes killed: orders with an unknown outcome, at most those of the first 5 s and of 5 s after the return"
    )
    yield at_most("d2-two-unknown", text, two.unknown, 2 * SOON * rate, unit="orders")
    text = "A refusal comes soon (503, max)"
    yield at_most("d2-503-soon", text, two.error_latency("503", 1), SOON, unit="s")
    text = "Time from the return of a second node to the first accepted order"
    yield at_most("d2-accepts-again", text, two.first_ok(second.since + SOON) - second.until, ELECTED, unit="s")
    text = "Acknowledged orders, and unknown orders that were published again, whose student was notified"
    done, expected = one.ended_as("notified") + two.ended_as("notified"), one.ok + one.unknown + two.ok + two.unknown
    yield equals("d2-all-notified", text, done, expected, unit="orders")
    text = "Messages that were dead-lettered"
    yield equals("d2-dead-letters", text, run.dead_letters("order-events"), 0, unit="messages")
