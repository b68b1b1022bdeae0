"""What the services and the broker of a part hold: at the end of a run the lines of `state.jsonl.gz`, or in between."""

from collections.abc import Mapping
from typing import Any

from lab import client
from lab.brokers import base, dead_letters, kafka
from lab.errors import LabError
from lab.history.recorder import RunRecorder
from lab.services import Service, by_kind, services_of

LISTS = {"order": "orders", "inventory": "reservations", "notification": "notifications"}


def state(head: dict[str, Any]) -> list[dict[str, Any]]:
    """Return what each service and the broker hold now; of one that does not answer, that it is missing."""
    lines: list[dict[str, Any]] = []
    services = by_kind(services_of(head["part"]))
    for name, service in services.items():
        try:
            if service == base.broker_of(services):
                lines += dead_letters.as_state(service)
                if name == kafka.NAME and "portions" not in head:
                    lines += kafka.results(kafka.read_all(service, kafka.RESULTS))
            elif not service.is_broker:
                lines += _held(service, rows="portions" not in head)
        except (LabError, ValueError, KeyError) as error:
            lines.append({"what": "missing", "service": name, "why": str(error)})
    return lines


def _held(service: Service, *, rows: bool) -> list[dict[str, Any]]:
    """Return what a service holds; its `rows` may be in portions already."""
    if service.kind == "analytics":
        return [{"what": "report", **client.call("GET", f"{service.url}/report").json()}]
    listed = LISTS[service.kind]
    found = client.each_row(f"{service.url}/{listed}", listed) if rows else []
    lines = [{"what": listed.removesuffix("s"), **row} for row in found]
    if service.kind == "inventory":
        levels = client.call("GET", f"{service.url}/stock").json()["stock"]
        lines += [{"what": "stock", "sku": sku, **level} for sku, level in levels.items()]
    return lines


def snapshot(recorder: RunRecorder, name: str) -> None:
    """Note what inventory and notification hold now, and how many messages each has dealt with. Raises LabError."""
    services = by_kind(services_of(recorder.head["part"]))
    rows = []
    for service in ("inventory", "notification"):
        rows += client.each_row(f"{services[service].url}/{LISTS[service]}", LISTS[service])
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
