"""Every id of the system: how it is made, and what it is good for.

- **order id**: UUIDv7 (RFC 9562), made by the order service when an order is placed. Unique everywhere, without asking
  anybody; a later one sorts after an earlier one, so a page of orders goes on after the last id.
- **event id**: UUIDv5 of the order's id and the event's type. Published twice, an event has the same id, so an
  inbox knows it again (deduplication).
- **request id**: UUIDv4, or the one that the client sent in `X-Request-ID`. It stands in the logs of all services.
"""

import uuid_utils

from campus import clock

_NAMESPACE = uuid_utils.UUID("6ba7b810-9dad-11d1-80b4-00c04fd430c8")


def new_order_id() -> str:
    """Return a UUIDv7: unique, and later ids sort after earlier ones."""
    return clock.sortable_id()


def event_id_of(order_id: str, event_type: str) -> str:
    """Return the id of an order's event of this type: always the same one."""
    return str(uuid_utils.uuid5(_NAMESPACE, f"{order_id}/{event_type}"))


def new_request_id() -> str:
    """Return a UUIDv4: unique, and not to be guessed."""
    return clock.random_id()
