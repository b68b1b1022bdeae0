"""The events that services publish, in one envelope, and what makes one invalid (a poison message).

{"event_id": …, "event_type": "OrderPlaced", "schema_version": 1, "occurred_at": "2026-01-31T12:00:00.000001Z",
 "order_id": …, "request_id": …, "data": {…}}
"""

import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any, Literal, NotRequired

from pydantic import Field, TypeAdapter, ValidationError, with_config
from typing_extensions import TypedDict

from campus import jsons
from campus.ids import event_id_of
from campus.orders import RESERVED, Order, utc_now
from campus.schemas import MAX_LINES, Name, Schema, StoredQuantity, errors_of

ORDER_PLACED, NOTIFICATION_SENT = "OrderPlaced", "NotificationSent"
INVENTORY_RESERVED, INVENTORY_FAILED = "InventoryReserved", "InventoryFailed"
SCHEMA_VERSION = 1

Instant = Annotated[str, Field(pattern=r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z$")]


class InvalidEvent(Exception):
    """Bytes that are no message of ours, and will not become one by trying again; its text says why."""


# The rules are those of typed dictionaries, not of forms: every consumer checks every event, and takes no objects.
_rules = with_config(Schema.model_config)


@_rules
class OrderLine(TypedDict):
    """One line of an order."""

    sku: Name
    qty: StoredQuantity


@_rules
class Ordered(TypedDict):
    """What a student ordered."""

    user_id: Name
    items: Annotated[list[OrderLine], Field(min_length=1, max_length=MAX_LINES)]


@_rules
class Refused(TypedDict):
    """Why an order was refused."""

    reason: Name


@_rules
class Notified(TypedDict):
    """Who was notified."""

    user_id: Name


@_rules
class Envelope(TypedDict):
    """What every message has, beside its type and the data of that type."""

    event_id: Name
    schema_version: Literal[1]
    occurred_at: Instant
    order_id: Name
    request_id: NotRequired[Annotated[str, Field(strict=True, max_length=128)] | None]


@_rules
class OrderPlaced(Envelope):
    """A student placed an order."""

    event_type: Literal["OrderPlaced"]
    data: Ordered


@_rules
class InventoryReserved(Envelope):
    """Inventory took all items of an order from stock."""

    event_type: Literal["InventoryReserved"]
    data: Ordered


@_rules
class InventoryFailed(Envelope):
    """Inventory took nothing, for this reason."""

    event_type: Literal["InventoryFailed"]
    data: Refused


@_rules
class NotificationSent(Envelope):
    """The student was notified."""

    event_type: Literal["NotificationSent"]
    data: Notified


_TYPES = {
    ORDER_PLACED: OrderPlaced,
    INVENTORY_RESERVED: InventoryReserved,
    INVENTORY_FAILED: InventoryFailed,
    NOTIFICATION_SENT: NotificationSent,
}
_Message = OrderPlaced | InventoryReserved | InventoryFailed | NotificationSent
_MESSAGE = TypeAdapter(Annotated[_Message, Field(discriminator="event_type")]).validator


@dataclass(frozen=True, slots=True)
class Event:
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


def schema_of(event_type: str) -> dict[str, Any]:
    """Return the JSON schema of one type of event, from the rules by which `parse` checks it."""
    return TypeAdapter(_TYPES[event_type]).json_schema()


def partition_of(key: bytes, partitions: int) -> int:
    """Return in which of so many partitions of a log the events with this key are.

    It is the CRC-32 of the key, as librdkafka computes it (its partitioner `consistent`). Java's murmur2 would do as
    well; in Python it takes a fifth of all that producing takes.
    """
    return zlib.crc32(key) % partitions


def new_event(
    event_type: str, order_id: str, data: dict[str, Any], *, request_id: str | None = None, at: str | None = None
) -> Event:
    """Return an event that occurred at `at` (now if not given).

    Its id follows from the order and the type (a UUIDv5, RFC 9562): emitted again, it is recognised as the same event.
    """
    event_id = event_id_of(order_id, event_type)
    return Event(event_type, order_id, data, at or utc_now(), event_id, request_id)


def order_placed(order: Order) -> Event:
    """Return the event of a new order: the same whenever it is published."""
    data = {"user_id": order.user_id, "items": order.items}
    return new_event(ORDER_PLACED, order.order_id, data, request_id=order.request_id, at=order.timeline[0]["at"])


def verdict(placed: Event, reservation: Mapping[str, Any]) -> Event:
    """Return inventory's result event: what it reserved for this OrderPlaced, or why it reserved nothing."""
    context = {"request_id": placed.request_id, "at": reservation["at"]}
    if reservation["status"] == RESERVED:
        return new_event(INVENTORY_RESERVED, placed.order_id, placed.data, **context)
    reason = {"reason": reservation.get("reason", "released")}
    return new_event(INVENTORY_FAILED, placed.order_id, reason, **context)


def notification_sent(reserved: Event, sent: Mapping[str, Any]) -> Event:
    """Return notification's result event: the student of this InventoryReserved was notified."""
    data = {"user_id": sent["user_id"]}
    return new_event(NOTIFICATION_SENT, reserved.order_id, data, request_id=reserved.request_id, at=sent["at"])


def parse(body: bytes, *expected: str) -> Event:
    """Return the event of one of the expected types. Raises InvalidEvent, which says what is wrong."""
    try:
        message = _MESSAGE.validate_json(body)
        datetime.fromisoformat(message["occurred_at"])
    except ValidationError as error:
        marked = body.startswith(jsons.BYTE_ORDER_MARK)
        raise InvalidEvent(f"this is not JSON: {jsons.MARKED}" if marked else _why(error)) from None
    except ValueError as error:
        raise InvalidEvent(f"occurred_at: {error}") from None
    if message["event_type"] not in expected:
        raise InvalidEvent(f"{message['event_type']} is not expected here, but {' or '.join(expected)}")
    return Event(
        message["event_type"],
        message["order_id"],
        message["data"],
        message["occurred_at"],
        message["event_id"],
        message.get("request_id"),
    )


def _why(error: ValidationError) -> str:
    if error.errors()[0]["type"] == "json_invalid":
        return f"this is not JSON: {error.errors()[0]['msg']}"
    return "; ".join(f"{e['field']}: {e['why']}" for e in errors_of(error))
