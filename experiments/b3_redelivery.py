"""B3: what we expect when the same event comes again, and again."""

from lab.checker.predictions import Run, equals

AGAIN = ("later", "restarted", "shuffled")


def predictions(run: Run):
    placed, twins = run.load("placed"), run.load("twins")
    for name in AGAIN:
        changed = run.rows_changed(f"before {name}", f"after {name}")
        yield equals(f"b3-{name}-changes-nothing", f"Rows that changed: {name}", changed, 0, unit="rows")
    published = sum(run.published(name) for name in AGAIN)
    worked, told = (
        sum(run.handled(queue, f"before {name}", f"after {name}") for name in AGAIN)
        for queue in ("order-placed", "inventory-reserved")
    )
    yield equals("b3-worked-on", "All that came again was worked on", worked, published, unit="messages")
    yield equals("b3-told-again", "and told of again, to notification", told, published, unit="messages")
    text, both = (
        "At once: two deliveries of each are worked on",
        run.handled("order-placed", "before twins", "after twins"),
    )
    yield equals("b3-twins-worked-on", text, both, 2 * twins.ok, unit="messages")
    held = run.reservations("reserved")
    yield equals(
        "b3-one-reservation", "and each order has one reservation", held, twins.ok + placed.ok, unit="reservations"
    )
    given_up = run.dead_letters("order-placed") + run.dead_letters("inventory-reserved")
    yield equals("b3-dead-letters", "Messages that were given up", given_up, 0, unit="messages")
