"""What inventory and notification hold at a moment of a run, so that two moments can be compared row by row."""

from typing import Any

from lab import compose, http, rabbit
from lab.journal import Journal

LISTS = {"inventory": "reservations", "notification": "notifications"}


def take(journal: Journal, name: str) -> None:
    """Note every row of what is held now, and how many messages each service has dealt with. Raises LabError."""
    services = compose.services(journal.head["part"])
    rows = [
        row for service, listed in LISTS.items() for row in http.all_pages(f"{services[service].url}/{listed}", listed)
    ]
    rows.append(http.call("GET", f"{services['inventory'].url}/stock").json())
    journal.note(
        type="snapshot", name=name, rows=rows, handled={queue: handled(services, queue) for queue in rabbit.WORK}
    )


def handled(services: dict[str, Any], queue: str) -> int:
    """Return how many messages of a queue have been done since its consumer started."""
    counts = (
        http.metric(s.url, "messages_total", queue=queue, outcome="done") for s in services.values() if not s.is_broker
    )
    return int(sum(count or 0 for count in counts))
