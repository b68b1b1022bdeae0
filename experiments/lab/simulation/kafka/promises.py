"""What the log itself must show at the end, beside what INV-1 to INV-8 decide."""

from lab.simulation.kafka.logs import Logs

POISON = b'{"event_id": "not an event"'
ORDERS, DEAD_LETTERS = "order-events", "order-events.dlq"
RESULTS = ("inventory-events", "notification-events")
READS = {
    "inventory-consumer-group": (ORDERS,),
    "notification-consumer-group": RESULTS[:1],
    "order-status-group": (ORDERS, *RESULTS),
    "analytics-consumer-group": (ORDERS, *RESULTS[:1]),
}
DEAD_LETTERING = ("inventory-consumer-group", "order-status-group")  # of what cannot be read in order-events


def broken(logs: Logs) -> list[tuple[str, str]]:
    """Each message that cannot be read is dead-lettered once by each group that does so, and no other message is."""
    unread = [f"{r.topic}/{r.partition}/{r.offset}" for r in logs.visible(ORDERS) if r.value == POISON]
    wanted = {(origin, group) for origin in unread for group in DEAD_LETTERING}
    found = [dict(record.headers) for record in logs.visible(DEAD_LETTERS)]
    dead = [(headers["x-origin"].decode(), headers["x-group"].decode()) for headers in found]
    wrong = [("poison", f"{o} was not dead-lettered by {g}") for o, g in sorted(wanted - set(dead))]
    wrong += [
        ("poison", f"{o} was dead-lettered by {g} more than once")
        for o, g in sorted({d for d in dead if dead.count(d) > 1})
    ]
    why = {d: headers.get("x-reason", b"").decode() for d, headers in zip(dead, found, strict=True)}
    wrong += [("infrastructure", f"{o} was dead-lettered by {g}: {why[o, g]}") for o, g in sorted(set(dead) - wanted)]
    return wrong
