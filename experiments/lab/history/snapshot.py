"""What inventory and notification hold at a moment of a run, so that two moments can be compared row by row."""

from collections.abc import Mapping

from lab import client
from lab.brokers import base
from lab.history.recorder import Journal
from lab.services import Service, services_of

LISTS = {"inventory": "reservations", "notification": "notifications"}


def take(journal: Journal, name: str) -> None:
    """Note every row of what is held now, and how many messages each service has dealt with. Raises LabError."""
    services = services_of(journal.head["part"])
    rows = [
        row
        for service, listed in LISTS.items()
        for row in client.all_pages(f"{services[service].url}/{listed}", listed)
    ]
    rows.append(client.call("GET", f"{services['inventory'].url}/stock").json())
    journal.note(type="snapshot", name=name, rows=rows, handled=handled(services))


def handled(services: Mapping[str, Service]) -> dict[str, int]:
    """Return how many messages of each queue, or by each group, have been done since their consumers started."""
    broker = base.broker_of(services)
    if broker is None:
        return {}
    label, values = base.speaker(broker).COUNTED
    return {value: _done(services, {label: value}) for value in values}


def _done(services: Mapping[str, Service], which: dict[str, str]) -> int:
    counts = (
        client.metric(s.url, "messages_total", **which, outcome="done") for s in services.values() if not s.is_broker
    )
    return int(sum(count or 0 for count in counts))
