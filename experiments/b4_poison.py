"""B4: what we expect of invalid messages."""

from lab.checker.predictions import Run, at_least, at_most, equals

QUEUES = ("order-placed", "inventory-reserved", "order-status")
FIRST_RETRY = 1  # s


def predictions(run: Run):
    clean, mixed = run.load("clean"), run.load("mixed")
    inventory, notification = run.published("at_inventory"), run.published("at_notification")
    yield at_least("b4-kinds", "Kinds of invalid messages in a queue: at least 12", inventory, 12, unit="kinds")
    text, dead = (
        "Invalid messages for inventory that are dead-lettered, with a reason",
        run.dead_lettered_once("at_inventory"),
    )
    yield equals("b4-inventory-dead", text, dead, inventory, unit="messages")
    text, dead = (
        "Invalid messages for notification that are dead-lettered, with a reason",
        run.dead_lettered_once("at_notification"),
    )
    yield equals("b4-notification-dead", text, dead, notification, unit="messages")
    dead = sum(run.dead_letters(queue) for queue in QUEUES)
    yield equals(
        "b4-nothing-else-dead", "Dead-lettered messages: only these", dead, inventory + notification, unit="messages"
    )
    text = "Good orders in the same load whose student was notified"
    yield equals("b4-good-orders-done", text, mixed.ended_as("notified"), mixed.sent, unit="orders")
    text = "Good orders are as quick as without invalid messages: ratio of completed p50"
    ratio = mixed.completed(0.5) / clean.completed(0.5)
    yield at_most("b4-good-orders-quick", text, ratio, 1.5 if run.quick else 1.25, unit="times")
    text = "No good order is delayed, not even by the first retry of 1 s (completed, max)"
    yield at_most("b4-none-held-up", text, mixed.completed(1), FIRST_RETRY, unit="s")
