"""Calls with a limit on the time that the caller waits, whatever they do."""

import math
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Generic, TypeVar

T = TypeVar("T")


class Bounded(Generic[T]):
    """Runs `function` in a thread of its own, and waits at most `seconds` for what it returns.

    There is one call at a time: who asks while one is under way gets the result of that one.

    Example:

        ping = Bounded(database.ping, 0.7)
        ping()  # raises what the database says, or TimeoutError
    """

    def __init__(self, function: Callable[[], T], seconds: float) -> None:
        self._function, self._seconds = function, seconds
        self._lock = threading.Lock()
        self._call: Future[T] | None = None
        self._began = 0.0

    def __call__(self, seconds: float = math.inf) -> T:
        """Return what the function returns, or raise what it raises. Raises TimeoutError, after `seconds` at most."""
        return self.begin()(seconds)

    def begin(self) -> Callable[..., T]:
        """Begin a call, if none is under way; return the function that waits for its result."""
        with self._lock:
            if self._call is None or self._call.done():
                self._call, self._began = Future(), time.monotonic()
                threading.Thread(target=self._run, args=(self._call,), daemon=True).start()
            call, began = self._call, self._began
        return lambda seconds=math.inf: self._wait(call, began, seconds)

    def _wait(self, call: "Future[T]", began: float, seconds: float) -> T:
        try:
            return call.result(min(seconds, max(0.0, began + self._seconds - time.monotonic())))
        except TimeoutError:
            if not call.done():
                raise TimeoutError(f"no answer for {time.monotonic() - began:.1f} s") from None
            return call.result()

    def _run(self, call: "Future[T]") -> None:
        try:
            call.set_result(self._function())
        except BaseException as error:
            call.set_exception(error)
