"""Looks at one part again and again: its services, its orders, its broker; and says what the page shows."""

import threading
import time
from collections import deque
from collections.abc import Callable
from typing import Any

from lab import client
from lab.analysis.latency import Latencies
from lab.brokers import kafka, kafka_client, lag_table, rabbitmq
from lab.brokers.lag import Groups
from lab.brokers.lag_table import Look
from lab.brokers.queues import Queues
from lab.compose import size_of
from lab.errors import LabError
from lab.live.facts import KEPT_SECONDS, Facts, of_all, outbox
from lab.live.promises import Promises
from lab.live.service_log import Replies, tail_of
from lab.runtime import lifecycle
from lab.services import Service, by_kind, services_of

EVERY_SECONDS, BROKER_SECONDS, CONDITION_SECONDS = 0.5, 1.0, 2.0
NEWS = 100  # orders a look, told one by one; more are a number
NO_FAULT = {"failure_mode": "error"}
Shape = dict[str, Any]


class Watcher:
    """One part, looked at by a thread of its own. `configured` returns the faults of a service, or raises LabError."""

    def __init__(self, part: str, runtime: lifecycle.Runtime, configured: Callable[[Service], dict[str, Any]]) -> None:
        self.part, self._runtime, self._configured = part, runtime, configured
        self._groups: Groups | None = None
        self._read_size()
        self.promises = Promises(part, "analytics" in self._kinds)
        self._look: Look | None = None
        self._conditions: dict[str, Shape] = {}
        self._conditions_at = 0.0
        self._broker_shape: Shape = {}
        self.faults: list[Shape] = []  # {service, what, since, until}
        self.seconds: deque[Shape] = deque(maxlen=KEPT_SECONDS)
        self.peak = 0  # orders under way, since a prediction began
        self.shown: Shape = {"part": part, "up": False, "at": 0.0}
        self._again = threading.Event()

    def _read_size(self) -> None:
        """Learn which services there are: each `./lab up` says anew how many replicas and nodes."""
        self._size = size_of(self.part)
        self._services = services_of(self.part)
        self._kinds = by_kind(self._services)
        self.facts = Facts(self._services)
        self._replies = Replies(tail_of(self._runtime, self._kinds["order"]))
        self._queues = Queues(self._kinds[rabbitmq.NAME]) if rabbitmq.NAME in self._kinds else None
        self._drop_groups()

    def start(self) -> None:
        """Begin to look: at the orders in one thread, in another at what may answer slowly: services and broker."""
        for name, look, every in (("orders", self.look, EVERY_SECONDS), ("around", self.look_around, BROKER_SECONDS)):
            threading.Thread(target=self._run, args=(look, every), name=f"{self.part} {name}", daemon=True).start()

    def _run(self, look: Callable[[], None], every: float) -> None:
        while True:
            began = time.monotonic()
            try:
                look()
            except Exception as error:  # a part may be stopped in the middle of a look
                self.shown |= {"trouble": f"{type(error).__name__}: {error}"}
            self._again.wait(max(0.05, began + every - time.monotonic()))
            self._again.clear()

    def look(self) -> None:
        """Look once."""
        if self._size != size_of(self.part):
            self._read_size()
            self._begin_anew()
        states = lifecycle.states(self._runtime, self._services)
        if all(state == "exited" for state in states.values()):
            if self.shown["up"]:
                self._begin_anew()
            self.shown = {"part": self.part, "up": False, "at": time.time()}
            return
        trouble = ""
        now = time.time()
        try:
            running = {self._services[name].kind for name, state in states.items() if state == "running"}
            self.facts.follow(now, self._kinds.keys() - running)
        except LabError as error:
            trouble = str(error)
        if self.facts.count < self.promises.checked:  # the part was emptied
            self.promises.restart()
        self._replies.follow(now)
        self._check(now, trouble)
        self.peak = max(self.peak, len(self.facts.open))
        self._note_faults(states, now)
        if self.facts.whole[0]:  # before, orders that have ended long ago seem to be under way
            self._note_second(int(now))
        self.shown = self._shape(now, states, trouble)

    def look_around(self) -> None:
        """Ask each service how it is and which faults it has, and the broker what waits in it."""
        states = lifecycle.states(self._runtime, self._services)
        if all(state == "exited" for state in states.values()):
            return
        now = time.time()
        if now >= self._conditions_at + CONDITION_SECONDS or self._changed(states):
            self._conditions_at = now
            self._conditions = {name: self._condition(name, state) for name, state in states.items()}
        self._broker_shape = self._broker(states)

    @property
    def kills(self) -> list[tuple[str, float]]:
        """Which services were seen killed, and when."""
        return [(fault["service"], fault["since"]) for fault in self.faults if fault["what"] == "killed"]

    def forget_conditions(self) -> None:
        """Ask the services again, now: something was changed."""
        self._conditions_at = 0.0
        self._again.set()

    def _begin_anew(self) -> None:
        self.facts.restart()
        self.promises.restart()

    def _check(self, now: float, trouble: str) -> None:
        try:
            self.promises.check(self.facts)
            if trouble or self.facts.open or self.facts.ended or self.promises.settled or not self.facts.count:
                return
            before = self.facts.count
            levels = client.call("GET", f"{self._kinds['inventory'].url}/stock", timeout=2.0).json()["stock"]
            report = None
            if "analytics" in self._kinds:
                report = client.call("GET", f"{self._kinds['analytics'].url}/report", timeout=2.0).json()
            if report is not None and report["totalOrdersSeen"] != before:
                report = None  # it is still counting, or has counted what this page has not seen
            self.facts.follow(now)
            if self.facts.count == before:
                self.promises.settle([{"sku": sku, **level} for sku, level in levels.items()], report)
        except LabError:  # a service that does not answer: nothing is decided
            return

    def _changed(self, states: dict[str, str]) -> bool:
        return any(self._conditions.get(name, {}).get("state") != state for name, state in states.items())

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

    def _note_faults(self, states: dict[str, str], now: float) -> None:
        """Note which faults stand: each is a band from when it was first seen until it was gone."""
        standing: dict[tuple[str, str], str] = {}
        for name, state in states.items():
            if state != "running":
                standing[name, {"exited": "killed", "paused": "frozen"}[state]] = ""
            for key, value in self._conditions.get(name, {}).get("config", {}).items():
                usual = NO_FAULT.get(key)
                if key in ("seed", "expires_in", "timeout", "failure_mode") or not value or value == usual:
                    continue
                standing[name, f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"] = ""
        for fault in self.faults:
            works = self._conditions.get(fault["service"], {}).get("ready") == "yes"
            gone = (fault["service"], fault["what"]) not in standing
            if fault["what"] in ("killed", "frozen"):
                gone &= works  # as in a report: it lasts until the service works again
            if gone and fault["until"] is None:
                fault["until"] = now
        there = {(fault["service"], fault["what"]) for fault in self.faults if fault["until"] is None}
        new = [key for key in standing if key not in there]
        self.faults += [{"service": service, "what": what, "since": now, "until": None} for service, what in new]
        self.faults = [f for f in self.faults if f["until"] is None or f["until"] > now - KEPT_SECONDS]

    def _note_second(self, second: int) -> None:
        """Note each second that is over; after a slow look there are several."""
        last = self.seconds[-1]["at"] if self.seconds else second - 2
        for of in range(max(last + 1, second - KEPT_SECONDS), second):
            self.seconds.append({
                "at": of,
                "replies": self._replies.by_second[of] or self.facts.placed[of],
                "completed": self.facts.completed[of],
                "waiting": len(self.facts.open),
                "oldest": round(self.facts.oldest(second), 2),
            })  # fmt: skip

    def _shape(self, now: float, states: dict[str, str], trouble: str) -> Shape:
        recent = range(int(now) - 5, int(now))
        notified = Latencies(max(0.0, took) for at, took in self.facts.latencies if at > now - 10)
        news, self.facts.news = self.facts.news, []
        services = {name: shape | {"state": states[name]} for name, shape in self._conditions.items() if name in states}
        services |= {kind: of_all(services, kind) for kind in self._kinds.keys() - services.keys()}
        return {
            "part": self.part,
            "up": True,
            "reading": not self.facts.whole[0],
            "at": now,
            "trouble": trouble,
            "services": services,
            "accepted": sum(self.facts.placed[s] for s in recent) / 5,
            "refused": sum(self._replies.refused[s] for s in recent) / 5,
            "completed": sum(self.facts.completed[s] for s in recent) / 5,
            "reply": self._replies.quantiles,
            "notified": notified.quantiles((0.5, 0.99)),
            "waiting": len(self.facts.open),
            "oldest": round(self.facts.oldest(now), 2),
            "last": self.facts.last,
            "news": news[-NEWS:] if len(news) <= NEWS else [],
            "promises": self.promises.shown(),
            "faults": self.faults,
            **self._broker_shape,
        }

    def _drop_groups(self) -> None:
        if self._groups is not None:
            self._groups.close()
        self._groups = None

    def _broker(self, states: dict[str, str]) -> Shape:
        """Return what waits in the broker, from the same looks as those of the sampler and of `./lab lag`."""
        if self._queues is not None:
            return {
                "queues": dict(self._queues.depths()),
                "outbox": outbox(self._kinds["order"].url) if states[self._kinds["order"].name] == "running" else None,
            }
        if kafka.NAME not in self._kinds:
            return {}
        try:
            if self._groups is None:
                self._groups = Groups(self._kinds[kafka.NAME])
            places = self._groups.places(kafka_client.GROUPS, only_at_rest=int(time.time()) % 2 == 0)
        except LabError:
            self._drop_groups()
            return {"lag": None}
        look = Look(time.time(), {place.key: place for place in places})
        before, self._look = self._look or look, look
        names = ("group", "topic", "partition", "lag", "lag-seconds", "state")
        return {"lag": [{name: row[name] for name in names} for row in lag_table.rows(before, look)]}
