"""B3: what we expect when the same event is delivered again."""

from lab.checker.predictions import Run, equals

AGAIN = ("later", "restarted", "shuffled")


def predictions(run: Run):
    placed, twins = run.load("placed"), run.load("twins")
    for name in AGAIN:
        changed = run.rows_changed(f"before {name}", f"after {name}")
        yield equals(
            f"b3-{name}-changes-nothing", f"Rows changed by the second delivery: {name}", changed, 0, unit="rows"
        )
    published = sum(run.published(name) for name in AGAIN)
    worked, told = (
        sum(run.handled(queue, f"before {name}", f"after {name}") for name in AGAIN)
        for queue in ("order-placed", "inventory-reserved")
    )
    yield equals("b3-worked-on", "Events that inventory processed again", worked, published, unit="messages")
    yield equals("b3-told-again", "Result events that notification processed again", told, published, unit="messages")
    text, both = (
        "At once: inventory processes two deliveries of each event",
        run.handled("order-placed", "before twins", "after twins"),
    )
    yield equals("b3-twins-worked-on", text, both, 2 * twins.ok, unit="messages")
    held = run.reservations("reserved")
    yield equals(
        "b3-one-reservation", "Each order has one reservation", held, twins.ok + placed.ok, unit="reservations"
    )
    given_up = run.dead_letters("order-placed") + run.dead_letters("inventory-reserved")
    yield equals("b3-dead-letters", "Messages that were dead-lettered", given_up, 0, unit="messages")
