"""A message as the laboratory handles it, for whichever broker."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class BrokerMessage:
    """A message for a queue or topic, or from one; only Kafka has keys, and gives its messages their ids."""

    body: bytes
    message_id: str | None
    headers: dict[str, Any]
    key: bytes | None = None
