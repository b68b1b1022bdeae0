"""The events that services tell each other, in one envelope, and what is refused as poison.

{"event_id": …, "event_type": "OrderPlaced", "schema_version": 1, "occurred_at": "2026-01-31T12:00:00.000001Z",
 "order_id": …, "request_id": …, "data": {…}}
"""

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal

import uuid_utils
from pydantic import Field, ValidationError

from campus import jsons
from campus.forms import MAX_LINES, Form, Name, StoredLine, errors_of
from campus.orders import Order, utc_now

ORDER_PLACED, NOTIFICATION_SENT = "OrderPlaced", "NotificationSent"
INVENTORY_RESERVED, INVENTORY_FAILED = "InventoryReserved", "InventoryFailed"
SCHEMA_VERSION = 1
_NAMESPACE = uuid_utils.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")

Items = Annotated[list[StoredLine], Field(min_length=1, max_length=MAX_LINES)]
Instant = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$")]


class Poison(Exception):
    """Bytes that are no message of ours, and will not become one by trying again; its text says why."""


class Envelope(Form):
    """What every message has."""

    event_id: Name
    event_type: Literal["OrderPlaced", "InventoryReserved", "InventoryFailed", "NotificationSent"]
    schema_version: Literal[1]
    occurred_at: Instant
    order_id: Name
    request_id: Annotated[str, Field(strict=True, max_length=128)] | None = None
    data: dict[str, Any]


class _Ordered(Form):
    user_id: Name
    items: Items


class _Failed(Form):
    reason: Name


class _Notified(Form):
    user_id: Name


_DATA: dict[str, type[Form]] = {
    ORDER_PLACED: _Ordered,
    INVENTORY_RESERVED: _Ordered,
    INVENTORY_FAILED: _Failed,
    NOTIFICATION_SENT: _Notified,
}


@dataclass(frozen=True, slots=True)
class Message:
    """One event about one order."""

    event_type: str
    order_id: str
    data: dict[str, Any]
    occurred_at: str
    event_id: str
    request_id: str | None = None

    def encode(self) -> bytes:
        """Return the envelope as JSON."""
        return jsons.dumps(
            {
                "event_id": self.event_id,
                "event_type": self.event_type,
                "schema_version": SCHEMA_VERSION,
                "occurred_at": self.occurred_at,
                "order_id": self.order_id,
                "request_id": self.request_id,
                "data": self.data,
            }
        )


def event(
    event_type: str, order_id: str, data: dict[str, Any], *, request_id: str | None = None, at: str | None = None
) -> Message:
    """Return an event that occurred at `at` (now if not given).

    Its id follows from the order and the type (a UUIDv5, RFC 9562): told again, it is recognised as the same event.
    """
    event_id = str(uuid_utils.uuid5(_NAMESPACE, f"{order_id}/{event_type}"))
    return Message(event_type, order_id, data, at or utc_now(), event_id, request_id)


def order_placed(order: Order) -> Message:
    """Return the event that tells of a new order: the same whenever it is told."""
    data = {"user_id": order.user_id, "items": order.items}
    return event(ORDER_PLACED, order.order_id, data, request_id=order.request_id, at=order.timeline[0]["at"])


def read(body: bytes, *expected: str) -> Message:
    """Return the message of one of the expected types. Raises Poison, which says what is wrong."""
    try:
        envelope = Envelope.model_validate(jsons.loads(body))
        if envelope.event_type not in expected:
            raise Poison(f"{envelope.event_type} is not expected here, but {' or '.join(expected)}")
        _DATA[envelope.event_type].model_validate(envelope.data)
    except ValidationError as error:
        raise Poison("; ".join(f"{e['field']}: {e['why']}" for e in errors_of(error))) from None
    except ValueError as error:
        raise Poison(f"this is not JSON: {error}") from None
    try:
        datetime.fromisoformat(envelope.occurred_at)
    except ValueError as error:
        raise Poison(f"occurred_at: {error}") from None
    e = envelope
    return Message(e.event_type, e.order_id, e.data, e.occurred_at, e.event_id, e.request_id)
