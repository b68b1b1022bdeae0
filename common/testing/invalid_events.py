"""Bodies that are no OrderPlaced of ours, each in its own way."""

from campus.events import ORDER_PLACED, new_event

DATA = {"user_id": "u1", "items": [{"sku": "burger", "qty": 1}]}
INVALID_EVENTS = [
    b"",
    b"{",
    b"\xff\xfe\x00",
    b"null",
    b"[]",
    b'"OrderPlaced"',
    b"{}",
    new_event("InventoryReserved", "o1", DATA).encode(),
    new_event("OrderEaten", "o1", DATA).encode(),
    new_event(ORDER_PLACED, "", DATA).encode(),
    new_event(ORDER_PLACED, "o1", DATA, at="yesterday").encode(),
    new_event(ORDER_PLACED, "o1", {"user_id": "u1"}).encode(),
    new_event(ORDER_PLACED, "o1", DATA | {"items": []}).encode(),
    new_event(ORDER_PLACED, "o1", DATA | {"items": [{"sku": "burger", "qty": -1}]}).encode(),
    new_event(ORDER_PLACED, "o1", DATA | {"colour": "red"}).encode(),
]
