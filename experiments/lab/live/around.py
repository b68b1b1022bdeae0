"""What is asked of a part beside its orders: how each service is, which faults it has, what waits in the broker."""

import re
import time
from collections.abc import Callable, Mapping
from typing import Any

from lab import client
from lab.brokers import kafka, kafka_client, lag_table, rabbitmq
from lab.brokers.lag import Groups
from lab.brokers.lag_table import Look
from lab.brokers.rabbitmq import Queues
from lab.compose import kind_of
from lab.errors import LabError
from lab.runtime import lifecycle
from lab.services import Service, by_kind

CONDITION_SECONDS = 2.0
_OUTBOX = re.compile(r"^outbox_depth ([0-9.e+]+)$", re.MULTILINE)
Shape = dict[str, Any]


class Around:
    """The services and the broker of one part. `configured` returns the faults of a service, or raises LabError."""

    def __init__(self, services: Mapping[str, Service], configured: Callable[[Service], Shape]) -> None:
        self._services, self._configured = services, configured
        self._kinds = by_kind(services)
        self._queues = Queues(self._kinds[rabbitmq.NAME]) if rabbitmq.NAME in self._kinds else None
        self._groups: Groups | None = None
        self._look: Look | None = None
        self._asked_at = 0.0
        self.conditions: dict[str, Shape] = {}
        self.broker: Shape = {}

    def look(self, states: Mapping[str, str]) -> None:
        """Ask all; `states` are those of the processes. The services are asked less often, unless a state changed."""
        now = time.time()
        known = {name: self.conditions.get(name, {}).get("state") for name in states}
        if now >= self._asked_at + CONDITION_SECONDS or known != states:
            self._asked_at = now
            self.conditions = {name: self._condition(name, state) for name, state in states.items()}
        self.broker = self._broker(states)

    def forget(self) -> None:
        """Ask the services again at the next look: something was changed."""
        self._asked_at = 0.0

    def close(self) -> None:
        """Let go of the broker."""
        if self._groups is not None:
            self._groups.close()
        self._groups = None

    def shown(self, states: Mapping[str, str]) -> dict[str, Shape]:
        """Return how each service is; one with replicas by its plain name, too."""
        found = {name: shape | {"state": states[name]} for name, shape in self.conditions.items() if name in states}
        return found | {kind: _of_all(found, kind) for kind in self._kinds.keys() - found.keys()}

    def _condition(self, name: str, state: str) -> Shape:
        service = self._services[name]
        found: Shape = {"state": state, "port": service.port, "broker": service.is_broker, "ready": "", "config": {}}
        if state != "running":
            return found
        if service.is_broker:
            return found | {"ready": "yes" if lifecycle.is_ready(service, timeout=1.0) else "no answer"}
        answer = client.try_get(f"{service.url}/ready", timeout=1.0)
        if answer is None:
            return found | {"ready": "no answer"}
        bad = [f"{what}: {said}" for what, said in answer.json()["checks"].items() if said != "ok"]
        try:
            return found | {"config": self._configured(service), "ready": "; ".join(bad) or "yes"}
        except LabError as error:
            return found | {"ready": "; ".join([*bad, str(error)])}

    def _broker(self, states: Mapping[str, str]) -> Shape:
        """Return what waits in the broker, from the same looks as those of the sampler and of `./lab lag`."""
        if self._queues is not None:
            order = self._kinds["order"]
            waiting = outbox(order.url) if states[order.name] == "running" else None
            return {"queues": dict(self._queues.depths()), "outbox": waiting}
        if kafka.NAME not in self._kinds:
            return {}
        try:
            if self._groups is None:
                self._groups = Groups(self._kinds[kafka.NAME])
            places = self._groups.places(kafka_client.GROUPS, only_at_rest=int(time.time()) % 2 == 0)
        except LabError:
            self.close()
            return {"lag": None}
        look = Look(time.time(), {place.key: place for place in places})
        before, self._look = self._look or look, look
        names = ("group", "topic", "partition", "lag", "lag-seconds", "state")
        return {"lag": [{name: row[name] for name in names} for row in lag_table.rows(before, look)]}


def _of_all(services: Mapping[str, Shape], kind: str) -> Shape:
    """Return what is shown of a service that has replicas: it runs as long as one does, and says which do not."""
    mine = {name: shape for name, shape in services.items() if kind_of(name) == kind}
    if not mine:
        return {"state": "exited", "ready": "", "config": {}}
    found = next((shape for shape in mine.values() if shape["state"] == "running"), next(iter(mine.values())))
    down = [f"{name} is {shape['state']}" for name, shape in mine.items() if shape["state"] != "running"]
    return found | {"ready": "; ".join(down) or found["ready"]}


def outbox(url: str) -> int | None:
    """Return how many rows wait in the order service's outbox; None when it does not answer."""
    answer = client.try_get(f"{url}/metrics", timeout=1.0)
    found = _OUTBOX.search(answer.text) if answer is not None else None  # of one figure; reading all costs 5 ms
    return int(float(found[1])) if found else None
