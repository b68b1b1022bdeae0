"""Bodies that are no OrderPlaced of ours, each in its own way."""

from campus.messages import ORDER_PLACED, event

DATA = {"user_id": "u1", "items": [{"sku": "burger", "qty": 1}]}
POISON = [
    b"",
    b"{",
    b"\xff\xfe\x00",
    b"null",
    b"[]",
    b'"OrderPlaced"',
    b"{}",
    event("InventoryReserved", "o1", DATA).encode(),
    event("OrderEaten", "o1", DATA).encode(),
    event(ORDER_PLACED, "", DATA).encode(),
    event(ORDER_PLACED, "o1", DATA, at="yesterday").encode(),
    event(ORDER_PLACED, "o1", {"user_id": "u1"}).encode(),
    event(ORDER_PLACED, "o1", DATA | {"items": []}).encode(),
    event(ORDER_PLACED, "o1", DATA | {"items": [{"sku": "burger", "qty": -1}]}).encode(),
    event(ORDER_PLACED, "o1", DATA | {"colour": "red"}).encode(),
]
