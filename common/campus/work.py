"""What the consumers of all parts share: a task, what handles tasks, and when a failed one is tried again."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from sqlalchemy import Connection

from campus.messages import Message

RETRY_SECONDS = (1, 2, 4, 8)
# The headers of a message that failed: why it was given up, and its failures so far as JSON.
REASON, HISTORY = "x-reason", "x-history"


@dataclass(frozen=True, slots=True)
class Task:
    """One message to work on; `refusal` is set when it must be refused as a matter of business."""

    message: Message
    refusal: str | None = None


Handle = Callable[[Connection, Sequence[Task]], Sequence[Message]]
