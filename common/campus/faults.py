"""Faults that are injected while a service runs: what `POST /configure` sets and the service's work obeys."""

import os
import random
import signal
import threading
from collections.abc import Callable
from typing import Annotated, Any, Literal

from pydantic import Field, ValidationError

from campus import clock
from campus.problems import Problem
from campus.schemas import Schema, bad_request, errors_of

Seconds = Annotated[float, Field(strict=True, ge=0, le=60)]
Point = Literal["before_commit", "after_commit", "after_publish"]

# What a service understands: Faults(ANSWERING | {"timeout"}) is a service that answers requests and calls others.
ANSWERING = frozenset({"delay", "jitter", "failure_rate", "failure_mode", "crash_point", "seed", "expires_in"})
CONSUMING = ANSWERING | {"paused", "throttle"}


class FaultConfig(Schema):
    """Every key with its range and the value that means no fault."""

    delay: Seconds = 0.0
    jitter: Seconds = 0.0
    failure_rate: Annotated[float, Field(strict=True, ge=0, le=1)] = 0.0
    failure_mode: Literal["error", "reject", "hang", "drop"] = "error"
    crash_point: Point = None  # ty: ignore[invalid-assignment]  # None is the default
    paused: Annotated[bool, Field(strict=True)] = False
    throttle: Seconds = 0.0
    timeout: Annotated[float, Field(strict=True, ge=0.01, le=60)] = None  # ty: ignore[invalid-assignment]
    seed: Annotated[int, Field(strict=True)] = None  # ty: ignore[invalid-assignment]
    expires_in: Annotated[float, Field(strict=True, ge=0, le=3600)] = None  # ty: ignore[invalid-assignment]


class Hang(Exception):
    """This request must never be answered."""


class Drop(Exception):
    """This request's connection must be closed without an answer."""


class Faults:
    """The faults of one service, the same for all of its threads.

    Example:

        faults = Faults(ANSWERING)
        faults.configure({"delay": 2, "failure_rate": 0.3, "seed": 7})
        refusal = faults.inject()  # waits 2 s; in three cases of ten raises a 500 Problem
    """

    def __init__(
        self,
        keys: frozenset[str],
        *,
        points: tuple[str, ...] = ("before_commit", "after_commit"),
        timeout: float | None = None,
        sleep: Callable[[float], Any] = clock.sleep,
        clock: Callable[[], float] = clock.monotonic,
        kill: Callable[[], Any] = lambda: os.kill(os.getpid(), signal.SIGKILL),
    ) -> None:
        self._keys = keys
        self._points = points
        self._defaults = FaultConfig.model_validate({} if timeout is None else {"timeout": timeout})
        self._sleep, self._clock, self._kill = sleep, clock, kill
        self._lock = threading.Lock()
        self._waits_until = 0.0
        self.reset()

    def configure(self, patch: Any) -> dict[str, Any]:
        """Merge `patch` and return all faults; None puts one key back to no fault, and leaves the others.

        Raises a 400 Problem, with nothing changed, if the patch is bad.
        """
        given = self._check(patch)
        with self._lock:
            self._expire()
            self._config = self._config.model_copy(update=given)
            if "seed" in given:
                self._random = random.Random(given["seed"])
            if "expires_in" in given:
                seconds = given["expires_in"]
                self._expires_at = None if seconds is None else self._clock() + seconds
        return self.show()

    def schema(self) -> dict[str, Any]:
        """Return the JSON schema of what `configure` takes."""
        known = FaultConfig.model_json_schema()["properties"]
        rules = {key: {name: rule for name, rule in known[key].items() if name != "default"} for key in self._keys}
        if "crash_point" in rules:
            rules["crash_point"] = {"title": known["crash_point"]["title"], "enum": [*self._points]}
        nullable = {key: {"anyOf": [rules[key], {"type": "null"}]} for key in sorted(rules)}
        return {"type": "object", "properties": nullable, "additionalProperties": False}

    def show(self) -> dict[str, Any]:
        """Return the value of every key that this service understands; `expires_in` counts down."""
        with self._lock:
            self._expire()
            config = {key: value for key, value in self._config.model_dump().items() if key in self._keys}
            if self._expires_at is not None:
                config["expires_in"] = round(self._expires_at - self._clock(), 3)
            return config

    def reset(self) -> dict[str, Any]:
        """Put every key back to no fault."""
        with self._lock:
            self._config = self._defaults
            self._expires_at: float | None = None
            self._random = random.Random()
        return self.show()

    @property
    def timeout(self) -> float:
        """How long this service waits for another, in seconds."""
        return self._now().timeout

    @property
    def paused(self) -> bool:
        """Whether a consumer must leave messages where they are."""
        return self._now().paused

    @property
    def throttle(self) -> float:
        """How long a consumer pauses after each message, in seconds."""
        return self._now().throttle

    @property
    def slow(self) -> bool:
        """Whether each message takes longer than its work."""
        config = self._now()
        return bool(config.delay or config.jitter or config.throttle)

    @property
    def hangs(self) -> bool:
        """Whether messages may be held for as long as this configuration stands."""
        config = self._now()
        return config.failure_mode == "hang" and config.failure_rate > 0

    def rest(self) -> None:
        """Pause as long as `throttle` says, after a message."""
        self._wait(self.throttle)

    def inject(self) -> str | None:
        """Do to this request what is configured: wait, then perhaps fail.

        Returns "injected" when the work must be refused as a matter of business, else None.
        Raises a 500 Problem, Hang or Drop.
        """
        config = self._now()
        wait, fails = self._draw(config)
        self._wait(wait)
        if not fails:
            return None
        if config.failure_mode == "reject":
            return "injected"
        if config.failure_mode == "hang":
            raise Hang
        if config.failure_mode == "drop":
            raise Drop
        raise Problem(500, "injected-failure", "A failure was injected by POST /configure.")

    def waits_until(self) -> float:
        """When the last wait that was configured ends or ended, by the clock: until then a loop is slow, not stuck."""
        return self._waits_until

    def crash_at(self, point: str) -> None:
        """Kill this process with SIGKILL, if it is told to crash at this point. The new process knows no faults."""
        if self._now().crash_point == point:
            self._kill()

    def _wait(self, seconds: float) -> None:
        if seconds > 0:
            self._waits_until = max(self._waits_until, self._clock() + seconds)
            self._sleep(seconds)

    def _now(self) -> FaultConfig:
        if self._expires_at is not None:
            with self._lock:
                self._expire()
        return self._config

    def _expire(self) -> None:
        if self._expires_at is not None and self._clock() >= self._expires_at:
            self._config, self._expires_at = self._defaults, None

    def _draw(self, config: FaultConfig) -> tuple[float, bool]:
        if not (config.jitter or config.failure_rate):
            return config.delay, False
        with self._lock:  # one stream of numbers, so that a seed repeats it
            wait = config.delay + self._random.uniform(-config.jitter, config.jitter)
            return wait, self._random.random() < config.failure_rate

    def _check(self, patch: Any) -> dict[str, Any]:
        known = FaultConfig.model_fields
        unset = {key for key in known if patch.get(key, "") is None} if isinstance(patch, dict) else set()
        rest = {key: value for key, value in patch.items() if key not in unset} if unset else patch
        try:
            given = FaultConfig.model_validate(rest).model_dump(exclude_unset=True)
        except ValidationError as error:
            raise bad_request(errors_of(error)) from None
        foreign = sorted((given.keys() | unset) - self._keys)
        errors = [{"field": key, "why": "this service has no such fault"} for key in foreign]
        if given.get("crash_point", self._points[0]) not in self._points:
            errors.append({"field": "crash_point", "why": f"this service has {', '.join(self._points)}"})
        if errors:
            raise bad_request(errors)
        return given | {key: getattr(self._defaults, key) for key in unset}
