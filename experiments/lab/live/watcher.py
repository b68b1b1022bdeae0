"""Looks at one part again and again: its services, its orders, its broker; and says what the page shows."""

import contextlib
import os
import threading
import time
from collections import deque
from collections.abc import Callable
from itertools import islice
from typing import Any

from lab import client
from lab.compose import size_of
from lab.errors import LabError
from lab.live.around import Around
from lab.live.facts import KEPT_SECONDS, RECENT_SECONDS, Facts, quantiles
from lab.live.promises import Promises
from lab.live.service_log import Replies, tail_of
from lab.runtime import lifecycle
from lab.services import Service, by_kind, services_of

EVERY_SECONDS, AROUND_SECONDS = 0.5, 1.0
NEWS = 100  # orders a look, told one by one; more are a number
RECOUNTED = 5  # seconds, as a reply or a commit may be seen only when its second is over
GAP_SECONDS = 5  # after which the charts have a gap: the page did not look
COUNTING_SECONDS = 30.0  # for which analytics may still count after the last order
NICE = 10  # what is looked at has the right of way: on a busy machine the page is late, not the orders
NO_FAULT = {"failure_mode": "error"}
Shape = dict[str, Any]


class Watcher:
    """One part, looked at by a thread of its own. `configured` returns the faults of a service, or raises LabError."""

    def __init__(self, part: str, runtime: lifecycle.Runtime, configured: Callable[[Service], dict[str, Any]]) -> None:
        self.part, self._runtime, self._configured = part, runtime, configured
        self._read_size()
        self.promises = Promises(part, "analytics" in self._kinds)
        self.faults: list[Shape] = []  # {service, what, since, until}
        self.seconds: deque[Shape] = deque(maxlen=KEPT_SECONDS)
        self.peak = 0  # orders under way, since a prediction began
        self.shown: Shape = {"part": part, "up": False, "at": 0.0}
        self._moving_at = 0.0  # when an order was under way last
        self._again = threading.Event()

    def _read_size(self) -> None:
        """Learn which services there are: each `./lab up` says anew how many replicas and nodes."""
        self._size = size_of(self.part)
        self._services = services_of(self.part)
        self._kinds = by_kind(self._services)
        self.facts = Facts(self._services)
        self._replies = Replies(tail_of(self._runtime, self._kinds["order"]))
        self._around = Around(self._services, self._configured)

    def start(self, wanted: Callable[[], bool]) -> None:
        """Begin to look, while it is `wanted`: at the orders in one thread, in another at what may answer slowly."""
        for name, look, every in (("orders", self.look, EVERY_SECONDS), ("around", self.look_around, AROUND_SECONDS)):
            of = (look, every, wanted)
            threading.Thread(target=self._run, args=of, name=f"{self.part} {name}", daemon=True).start()

    def _run(self, look: Callable[[], None], every: float, wanted: Callable[[], bool]) -> None:
        with contextlib.suppress(OSError):  # this thread only: what a click starts is not to inherit it
            me = threading.get_native_id()
            os.setpriority(os.PRIO_PROCESS, me, max(NICE, os.getpriority(os.PRIO_PROCESS, me)))
        while True:
            began = time.monotonic()
            if wanted():
                try:
                    look()
                except Exception as error:  # a part may be stopped in the middle of a look
                    self.shown |= {"trouble": f"{type(error).__name__}: {error}"}
            self._again.wait(max(0.05, began + every - time.monotonic()))
            self._again.clear()

    def look(self) -> None:
        """Look once."""
        if self._size != size_of(self.part):
            self._around.close()
            self._read_size()
        states = lifecycle.states(self._runtime, self._services)
        if all(state == "exited" for state in states.values()):
            if self.shown["up"]:
                self.facts.restart()
            self.shown = {"part": self.part, "up": False, "at": time.time()}
            return
        trouble = ""
        now = time.time()
        reading = not self.facts.caught_up
        try:
            running = {self._services[name].kind for name, state in states.items() if state == "running"}
            self.facts.follow(now, self._kinds.keys() - running)
        except LabError as error:
            trouble = str(error)
        if reading:  # what happened before this page was opened is no news
            self.facts.news.clear()
        self._replies.follow(now)
        self._check(now, trouble)
        self.peak = max(self.peak, len(self.facts.open))
        self._note_faults(states, now)
        if self.facts.caught_up:  # before, orders that have ended long ago seem to be under way
            self._note_second(int(now))
        self.shown = self._shape(now, states, trouble)

    def look_around(self) -> None:
        """Ask each service how it is and which faults it has, and the broker what waits in it."""
        states = lifecycle.states(self._runtime, self._services)
        if any(state != "exited" for state in states.values()):
            self._around.look(states)

    @property
    def kills(self) -> list[tuple[str, float]]:
        """Which services were seen killed, and when."""
        return [(fault["service"], fault["since"]) for fault in self.faults if fault["what"] == "killed"]

    def forget_conditions(self) -> None:
        """Ask the services again, now: something was changed."""
        self._around.forget()
        self._again.set()

    def _check(self, now: float, trouble: str) -> None:
        self.promises.check(self.facts)
        if trouble or self.facts.open or self.facts.ended:
            self._moving_at = now
        elif self.facts.count and not self.promises.settled:
            with contextlib.suppress(LabError):  # a service does not answer: nothing is decided
                self._settle(now)

    def _settle(self, now: float) -> None:
        before = self.facts.rows
        levels = client.call("GET", f"{self._kinds['inventory'].url}/stock", timeout=2.0).json()["stock"]
        report = None
        if "analytics" in self._kinds:
            report = client.call("GET", f"{self._kinds['analytics'].url}/report", timeout=2.0).json()
            if report["totalOrdersSeen"] != self.facts.count:
                if now < self._moving_at + COUNTING_SECONDS:
                    return  # it is still counting
                report = None  # it has counted what this page has not seen
        self.facts.follow(now)
        if self.facts.rows == before:
            self.promises.settle([{"sku": sku, **level} for sku, level in levels.items()], report)

    def _note_faults(self, states: dict[str, str], now: float) -> None:
        """Note which faults stand: each is a band from when it was first seen until it was gone."""
        standing: dict[tuple[str, str], str] = {}
        for name, state in states.items():
            if state != "running":
                standing[name, {"exited": "killed", "paused": "frozen"}[state]] = ""
            for key, value in self._around.conditions.get(name, {}).get("config", {}).items():
                usual = NO_FAULT.get(key)
                if key in ("seed", "expires_in", "timeout", "failure_mode") or not value or value == usual:
                    continue
                standing[name, f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}"] = ""
        for fault in self.faults:
            works = self._around.conditions.get(fault["service"], {}).get("ready") == "yes"
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
        if second - last > GAP_SECONDS:
            self.seconds.append(dict.fromkeys(("replies", "completed", "waiting", "oldest"), None) | {"at": last + 1})
            last = second - 2
        for of in range(last + 1, second):
            row = {"at": of, "replies": 0, "completed": 0, "waiting": len(self.facts.open)}
            self.seconds.append(row | {"oldest": self._oldest(second)})
        for row in islice(reversed(self.seconds), RECOUNTED):
            if row["waiting"] is not None:
                row["replies"] = self._replies.by_second[row["at"]] or self.facts.placed[row["at"]]
                row["completed"] = self.facts.completed[row["at"]]

    def _oldest(self, now: float) -> float:
        return round(self.facts.oldest(now), 2)

    def _shape(self, now: float, states: dict[str, str], trouble: str) -> Shape:
        recent = range(int(now) - 5, int(now))
        notified = quantiles(max(0.0, took) for at, took in self.facts.latencies if at > now - RECENT_SECONDS)
        news, self.facts.news = self.facts.news, []
        return {
            "part": self.part,
            "up": True,
            "reading": not self.facts.caught_up,
            "at": now,
            "trouble": trouble,
            "services": self._around.shown(states),
            "accepted": sum(self.facts.placed[s] for s in recent) / 5,
            "refused": sum(self._replies.refused[s] for s in recent) / 5,
            "completed": sum(self.facts.completed[s] for s in recent) / 5,
            "reply": self._replies.quantiles,
            "notified": notified,
            "waiting": len(self.facts.open),
            "oldest": self._oldest(now),
            "last": self.facts.last,
            "news": news[-NEWS:] if len(news) <= NEWS else [],
            "promises": self.promises.shown(),
            "faults": self.faults,
            **self._around.broker,
        }
