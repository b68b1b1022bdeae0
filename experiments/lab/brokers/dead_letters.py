"""What lies in the dead-letter queues, and why."""

import json
from typing import Any

from lab.brokers import base
from lab.brokers.message import BrokerMessage
from lab.errors import LabError
from lab.services import Service

REASON, HISTORY = "x-reason", "x-history"
GROUP = "x-group"  # who gave up on it, where more than one may
SHOWN = 400


def as_state(service: Service) -> list[dict[str, Any]]:
    """Return the dead letters as lines of a run's state. Raises LabError."""
    return [
        {"what": "dead", "queue": queue, "message_id": letter.message_id, "reason": letter.headers.get(REASON, "")}
        | {"history": history(letter), "body": letter.body.decode(errors="replace")[:SHOWN]}
        | ({"groups": letter.headers[GROUP].split(", ")} if isinstance(letter.headers.get(GROUP), str) else {})
        for queue, letter in base.client_for(service).letters(service)
    ]


def described(dead: str, letter: BrokerMessage) -> list[str]:
    """Return what a person wants to know of a letter in this dead-letter queue, in lines."""
    lines = [f"{dead}  message {letter.message_id or 'without id'}"]
    lines.append(f"  reason   {letter.headers.get(REASON, 'none given')}")
    lines += [f"  dead-lettered by {letter.headers[GROUP]}"] if GROUP in letter.headers else []
    lines += [f"  failed   {failure.get('at')}  {failure.get('why')}" for failure in history(letter)]
    return [*lines, f"  body     {letter.body.decode(errors='replace')[:SHOWN]}"]


def history(letter: BrokerMessage) -> list[dict[str, str]]:
    """Return the failures before it was dead-lettered, oldest first."""
    try:
        found = json.loads(letter.headers.get(HISTORY, "[]"))
    except (ValueError, TypeError):
        return []
    return [failure for failure in found if isinstance(failure, dict)] if isinstance(found, list) else []


def queues_of(service: Service, queue: str | None) -> tuple[str, ...]:
    """Return the queue that a person names, or all work queues. Raises LabError where there is no such queue."""
    work = base.client_for(service).WORK
    if queue is None:
        return work
    name = queue.removesuffix(".dlq")
    if name not in work:
        raise LabError(f"there is no queue {queue}", f"the queues are: {', '.join(work)}")
    return (name,)
