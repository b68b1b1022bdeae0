"""What the consumers of all parts share: a work item, which failures are its own, and when it is retried."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from campus.events import Event
from campus.orders import IllegalTransition
from campus.transaction import Transaction

RETRY_SECONDS = (1, 2, 4, 8)
# The headers of a message that failed: why it was dead-lettered, and its failures so far as JSON.
REASON, HISTORY = "x-reason", "x-history"

# The database, the disk or the connection is at fault, and never the message: DatabaseDown is a ConnectionError.
INFRASTRUCTURE = (OSError,)
# The message contradicts what has happened. Trying again will not help.
NEVER = (IllegalTransition,)


@dataclass(frozen=True, slots=True)
class WorkItem:
    """One message to work on; `refusal` is set when it must be refused as a matter of business."""

    event: Event
    refusal: str | None = None


Handle = Callable[[Transaction, Sequence[WorkItem]], Sequence[Event]]
