"""Predict first: a number is written down; inventory is killed for a while; the largest backlog is compared."""

import threading
import time
from collections.abc import Callable, Mapping
from typing import Any

from lab.errors import LabError
from lab.live.load import Loads
from lab.services import Service, by_kind, services_of

MAX_SECONDS, DRAIN_SECONDS, WITHIN = 120.0, 120.0, 0.1
WARM_SECONDS = 3.0


class Prediction:
    """The prediction that runs, or ran last; `shown` says how far it is."""

    def __init__(self, watchers: Mapping[str, Any], loads: Loads, act: Callable[[str, Service], None]) -> None:
        """`watchers` are those of all parts; `act` kills and starts a service."""
        self._watchers, self._loads, self._act = watchers, loads, act
        self._lock = threading.Lock()
        self.shown: dict[str, Any] = {}

    def begin(self, part: str, seconds: float, rate: float, predicted: float) -> None:
        """Begin in a thread of its own. Raises LabError when one runs, or a number is out of range."""
        if not 1 <= seconds <= MAX_SECONDS or not 0 < rate <= 300:
            raise LabError(f"1 to {MAX_SECONDS:.0f} s, and more than 0 to 300 orders/s")
        if not self._watchers[part].shown["up"]:
            raise LabError(f"{part} is not up", f"./lab up {part}")
        if not self._lock.acquire(blocking=False):
            raise LabError("a prediction runs already")
        self.shown = {"part": part, "seconds": seconds, "rate": rate, "predicted": predicted, "state": "runs"}
        threading.Thread(target=self._run, name="prediction", daemon=True).start()

    def _run(self) -> None:
        part, watcher = self.shown["part"], self._watchers[self.shown["part"]]
        inventory = by_kind(services_of(part))["inventory"]
        try:
            self._loads.set_rate(part, self.shown["rate"])
            time.sleep(WARM_SECONDS)
            watcher.peak = 0
            self.shown |= {"since": time.time()}
            self._act("kill", inventory)
            time.sleep(self.shown["seconds"])
            self._act("start", inventory)
            deadline = time.monotonic() + DRAIN_SECONDS
            while len(watcher.facts.open) > self.shown["rate"] and time.monotonic() < deadline:
                time.sleep(0.2)
            measured, predicted = watcher.peak, self.shown["predicted"]
            holds = abs(measured - predicted) <= WITHIN * max(measured, predicted, 10)
            self.shown |= {"measured": measured, "holds": holds, "state": "done", "until": time.time()}
        except LabError as error:
            self.shown |= {"state": f"stopped: {error}"}
        finally:
            self._loads.set_rate(part, 0)
            self._lock.release()
