"""The colours of the plots of a run: each has one meaning, on every page, and none is told apart by its hue alone.

A test computes how far apart they are for the three kinds of colour-blindness.
"""

# What became of an order, and its markers.
DONE, REFUSED, OPEN, NOTIFIED, WAITING = "#00A878", "#D55E00", "#000000", "#0060B0", "#AAAAAA"
RESULT = {"ok": DONE, "fail": REFUSED, "info": OPEN}
PREDICTED = "#D0208C"
FAULT, NOTE = "#F0C24B", "#666666"  # what was done to a service: a fault shades, a setting is only named
SERVICE = {"inventory": "#E8A500", "notification": "#66C2FF", "analytics": "#7A4A10", "order": "#3A2A8C"}
# Which service reads a queue; the outbox belongs to the order service.
READER = {
    "order-placed": "inventory",
    "inventory-reserved": "notification",
    "order-status": "order",
    "outbox": "order",
    "orders for inventory": "inventory",
    "orders for notification": "notification",
}


def of_reader(name: str) -> str:
    """Return the colour of the service that reads a queue, or that a consumer group belongs to."""
    first = name.partition(".")[0]
    return SERVICE.get(READER.get(first, first.partition("-")[0]), NOTE)
