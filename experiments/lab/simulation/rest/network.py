"""HTTP between services in memory: the adapter below `ServiceClient`, and a network that refuses, loses and delays."""

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any
from urllib.parse import urlsplit

import requests
from campus import clock
from campus.service_client import ConnectFailed

from lab.simulation.core import Simulation
from lab.simulation.process import Process

SERVICES = {8001: "inventory", 8002: "notification"}
LATE = (0.5, 8.0)  # seconds after its caller has stopped waiting, in turn
# What the network does to one call.
REFUSED, LOST, DELAYED, REPLY_LOST, SLOW = CUTS = ("refused", "lost", "delayed", "reply lost", "slow")
SLOW_SECONDS = 3.0


@dataclass(eq=False)
class Request:
    """A request on its way, or one that arrives when its caller waits no longer."""

    target: str
    method: str
    path: str
    body: bytes | None
    headers: dict[str, str]
    about: str
    due: float = 0.0


@dataclass
class Network:
    """What happens to the calls of a run."""

    sim: Simulation
    late: list[Request] = field(default_factory=list)
    cuts: dict[str, list[str | None]] = field(default_factory=dict)  # caller → what happens to its next calls
    _count: int = 0

    def send(self, caller: Process, request: Request, timeout: float) -> tuple[int, bytes]:
        """Carry one call. Raises ConnectFailed, or requests.Timeout when no answer comes in time."""
        sim, target = self.sim, self.sim.processes[request.target]
        sim.effect("request:before")
        cut = self.cuts[caller.name].pop(0) if self.cuts.get(caller.name) else None
        if not target.alive or cut == REFUSED:
            self._record("call", caller, request, lost=True)
            raise ConnectFailed("[Errno 111] Connection refused")
        if target.frozen or cut in (LOST, DELAYED):
            self._record("call", caller, request, lost=True)
            if target.frozen or cut == DELAYED:
                self._deliver_later(request, timeout)
            sim.clock.sleep(timeout)
            raise requests.Timeout(f"no answer from {target.name}")
        self._record("call", caller, request)
        if cut == SLOW:
            sim.clock.sleep(SLOW_SECONDS)
        answer = self.ask(target, request)
        sim.effect("request:after")
        if answer is None:
            self._record("reply", caller, request, text="connection reset", lost=True)
            raise requests.ConnectionError("Connection reset by peer")
        if cut == REPLY_LOST:
            self._record("reply", caller, request, text=str(answer[0]), lost=True)
            sim.clock.sleep(timeout)
            raise requests.Timeout(f"no answer from {target.name}")
        self._record("reply", caller, request, text=str(answer[0]))
        return answer

    def ask(self, target: Process, request: Request) -> tuple[int, bytes] | None:
        """Let a service answer; None if it is gone, or died of it."""
        client, method = target.client, request.method
        if client is None:
            return None
        doing = f"{method} /{request.path.split('/')[1]}"
        answer = self.sim.run(
            target,
            doing,
            lambda: client.open(request.path, method=method, data=request.body, headers=request.headers),
            asked=True,
        )
        return None if answer is None else (answer.status_code, answer.data)

    def tick(self) -> None:
        """Let the requests arrive whose time has come, though their callers wait no longer."""
        due = [request for request in self.late if request.due <= self.sim.clock.seconds]
        for request in due:
            target = self.sim.processes[request.target]
            if target.frozen or request not in self.late:  # it may have arrived meanwhile
                continue
            self.late.remove(request)
            if target.alive:
                self._record("call", None, request)
                self.ask(target, request)

    def _deliver_later(self, request: Request, timeout: float) -> None:
        self._count += 1
        request.due = self.sim.clock.seconds + timeout + LATE[self._count % len(LATE)]
        self.late.append(request)

    def _record(self, kind: str, caller: Process | None, request: Request, text: str = "", lost: bool = False) -> None:
        ends = (caller.name if caller else "network", request.target)
        source, target = ends if kind == "call" else ends[::-1]
        text = f"{request.method} {request.path} {text}".strip()
        self.sim.trace.add(kind, source, text, to=target, about=request.about, lost=lost, again=caller is None)


class Adapter:
    """Stands for the HTTPAdapter of one host; `about(body, path)` names the order of a request."""

    def __init__(self, url: str, network: Callable[[], Network], about: Callable[[bytes | None, str], str]) -> None:
        self._target, self._network, self._about = SERVICES[urlsplit(url).port or 0], network, about

    def close(self) -> None:
        """Do nothing: there are no connections."""

    def send(self, request: Any, *, stream: bool, timeout: float) -> "Answer":
        """Send a prepared request."""
        network = self._network()
        frame = network.sim.frame
        assert frame is not None  # a service sends only while it runs
        path, body = urlsplit(request.url).path, request.body
        sent = Request(self._target, request.method, path, body, dict(request.headers), self._about(body, path))
        began = clock.monotonic()
        status, data = network.send(frame.process, sent, timeout)
        if clock.monotonic() - began > timeout:  # it came too late
            raise requests.Timeout(f"no answer from {self._target}")
        return Answer(status, data)


class Answer:
    """What an adapter returns, as far as `ServiceClient` reads it."""

    def __init__(self, status: int, body: bytes) -> None:
        self.status_code = status
        self.raw = SimpleNamespace(read=lambda _limit: body)

    def __enter__(self) -> "Answer":
        return self

    def __exit__(self, *_: object) -> None:
        pass
