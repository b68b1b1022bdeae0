"""What inventory and notification hold at a moment of a run, so that two moments can be compared row by row."""

from collections.abc import Mapping

from lab import client
from lab.brokers import base
from lab.history.recorder import RunRecorder
from lab.services import Service, by_kind, services_of

LISTS = {"order": "orders", "inventory": "reservations", "notification": "notifications"}


def take(recorder: RunRecorder, name: str) -> None:
    """Note every row of what is held now, and how many messages each service has dealt with. Raises LabError."""
    services = by_kind(services_of(recorder.head["part"]))
    rows = []
    for service in ("inventory", "notification"):
        rows += client.all_pages(f"{services[service].url}/{LISTS[service]}", LISTS[service])
    rows.append(client.call("GET", f"{services['inventory'].url}/stock").json())
    recorder.record(type="snapshot", name=name, rows=rows, handled=handled(services))


def handled(services: Mapping[str, Service]) -> dict[str, int]:
    """Return how many messages of each queue, or by each group, have been done since their consumers started."""
    broker = base.broker_of(services)
    if broker is None:
        return {}
    label, values = base.client_for(broker).COUNTED
    urls = [url for service in services.values() if not service.is_broker for url in service.urls]

    def done(value: str) -> int:
        return int(sum(client.metric(url, "messages_total", **{label: value}, outcome="done") or 0 for url in urls))

    return {value: done(value) for value in values}
