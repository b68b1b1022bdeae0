"""A dead letter: the message as it was; its headers say where it came from, which group dead-lettered it, and why."""

from dataclasses import dataclass, field
from typing import Any

from campus import jsons
from campus.retry import HISTORY, REASON

ORIGIN, GROUP = "x-origin", "x-group"
BODY_BYTES = 500_000  # with its headers it must fit where the message itself just did


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A record that was dead-lettered, why, and its failures before that."""

    record: Any
    why: str
    history: list[dict[str, str]] = field(default_factory=list)

    def for_topic(self, group: str) -> dict[str, Any]:
        """Return key, value and headers, as `KafkaProducer.send` takes them."""
        about = {REASON: self.why[:1000], ORIGIN: origin(self.record), GROUP: group}
        headers = [(name, text.encode()) for name, text in about.items()] + [(HISTORY, jsons.dumps(self.history))]
        key, body = self.record.key, self.record.value or b""
        return {"key": key and key[:1000], "value": bytes(body[:BODY_BYTES]), "headers": headers}


def origin(record: Any) -> str:
    """Return where a record is: topic/partition/offset."""
    return f"{record.topic}/{record.partition}/{record.offset}"
