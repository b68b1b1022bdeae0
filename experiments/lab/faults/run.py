"""Carries a schedule of faults out beside a load, then heals everything.

Each fault has a thread of its own: one that takes longer than it should must not hold up the others. What cannot be
done, because another fault is in its way, is noted and left.
"""

import contextlib
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from functools import partial
from typing import Any

from campus.events import INVENTORY_RESERVED, ORDER_PLACED

from lab import client
from lab.errors import LabError
from lab.faults import inject, messages, resources
from lab.faults import schedule as chaos
from lab.faults.schedule import Fault
from lab.history.recorder import RunRecorder
from lab.runtime import lifecycle
from lab.services import Service, by_kind, services_of

LOAD = "chaos"
COPIES = 20
MAX_LISTED = 1000
FLAP = 0.4  # seconds with faults, and seconds without

Say = Callable[[str], None]


@dataclass
class Deed:
    """A fault of a run's schedule that is carried out; `give_back` undoes what it has taken."""

    recorder: RunRecorder
    number: int
    fault: Fault
    give_back: Callable[[], None] | None = None

    @property
    def service(self) -> Service:
        """The service that meets the fault."""
        services = services_of(self.recorder.head["part"])
        return (services | by_kind(services))[self.fault.service]


Do = Callable[[Deed], str | None]  # returns what is to be said of it


def run(recorder: RunRecorder, seed: int, minutes: float, say: Say) -> None:
    """Carry out what a seed draws while the load `chaos` runs, then heal everything. Raises LabError."""
    part = recorder.head["part"]
    cluster = chaos.SPARE in services_of(part)
    faults = chaos.schedule(part, seed, minutes, cluster=cluster)
    drawn = {"faults": [asdict(fault) for fault in faults], "kinds": chaos.kinds_of(part, cluster=cluster)}
    recorder.record(type="schedule", seed=seed, minutes=minutes, **drawn)
    carry_out(recorder, faults, say)
    heal(part, say)


def carry_out(recorder: RunRecorder, faults: list[Fault], say: Say) -> None:
    """Do each fault at its time and mend it at its time; note what was done."""
    began, over = recorder.begun(LOAD), threading.Event()

    def is_over_at(second: float) -> bool:
        """Wait until that second of the load; return whether the run is over by then."""
        return over.wait(max(0.0, began + second - recorder.now()))

    def play(number: int, fault: Fault) -> None:
        if is_over_at(fault.at):
            return
        deed, since = Deed(recorder, number, fault), recorder.now()
        done, said = _tried(DOING[fault.kind], deed)
        if fault.kind in RECOVERIES:
            if is_over_at(fault.until):
                return
            mended, said_then = _tried(RECOVERIES[fault.kind], deed)
            done = done and (mended or fault.kind != "crash")  # only then does one know whether it crashed
            said = said or said_then
        times = {"began": round(since, 6), "ended": round(recorder.now(), 6)}
        recorder.record(type="carried out", fault=number, **times, done=done, said=said)
        say(f"  {since - began:5.1f} s  {fault.kind} {fault.service}: {said or 'done'}")

    with ThreadPoolExecutor(max_workers=len(faults)) as threads:
        futures = [threads.submit(play, number, fault) for number, fault in enumerate(faults)]
        try:
            for future in futures:
                future.result()
        finally:  # after Ctrl-C the faults that are still to come are dropped
            over.set()


def heal(part: str, say: Say) -> None:
    """Let every frozen service go on, start every one that is gone, wait for them all, and reset every fault."""
    chosen = lifecycle.choose()
    for service in services_of(part).values():
        try:
            if chosen.state(service) == "paused":
                inject.act("unpause", service)
            inject.act("start", service)
            if not service.is_broker:
                inject.reset(service)
        except LabError as error:
            say(f"  {service.name} cannot be healed: {error}")


def _tried(do: Do, deed: Deed) -> tuple[bool, str]:
    """Return whether it could be done, and what is to be said of it."""
    try:
        return True, do(deed) or ""
    except (LabError, ValueError, KeyError) as error:
        return False, str(error).partition("\n")[0]


def _act(verb: str, deed: Deed) -> None:
    inject.act(verb, deed.service)


def _configure(deed: Deed) -> None:
    inject.configure(deed.service, deed.fault.settings)


def _reset(deed: Deed) -> None:
    inject.reset(deed.service)


def _flap(deed: Deed) -> str:
    """Let a service lose its connections at every message or request, again and again, with pauses between."""
    end, times = deed.recorder.now() + deed.fault.seconds, 0
    while deed.recorder.now() < end:
        _configure(deed)
        time.sleep(FLAP)
        _reset(deed)
        time.sleep(FLAP)
        times += 1
    return f"{times} times"


def _take(what: str, deed: Deed) -> None:
    deed.give_back = resources.TAKING[what](deed.service)
    deed.recorder.record(type="fault", verb="take", service=deed.fault.service, value=what)


def _give_back(what: str, deed: Deed) -> None:
    if deed.give_back is None:
        raise LabError("nothing was taken")
    deed.give_back()
    deed.recorder.record(type="fault", verb="give back", service=deed.fault.service, value=what)


def _arm(deed: Deed) -> None:
    """Tell a service to crash at a point, perhaps before it can answer. Raises LabError when it cannot be asked."""
    inject.configured(deed.service)  # it is there, so it will be told
    with contextlib.suppress(LabError):
        _configure(deed)


def _after_crash(deed: Deed) -> str:
    """Start the service if it does not come back by itself. Raises LabError when it never came to its crash."""
    service, chosen = deed.service, lifecycle.choose()
    if chosen.state(service) == "exited":
        inject.act("start", service)
    lifecycle.wait_ready(chosen, service)
    waits = inject.configured(service)["crash_point"] is not None  # a new process knows nothing of it
    inject.reset(service)
    if waits:
        raise LabError("it did not come to that point")
    return "it crashed"


def _duplicate(deed: Deed) -> str:
    """Deliver what belongs to some finished orders once more: by the broker, or by asking for it again."""
    services = by_kind(services_of(deed.recorder.head["part"]))
    query: dict[str, Any] = {"status": "notified", "limit": MAX_LISTED}
    orders = client.call("GET", f"{services['order'].url}/orders", params=query).json()["orders"]
    if len(orders) < COPIES:
        raise LabError("too few orders are finished")
    chosen = random.Random(deed.number).sample(orders, COPIES)
    if deed.service.is_broker:
        messages.place_again(deed.recorder, f"again-{deed.number}", chosen)
        return f"{COPIES} events published again"
    for order in chosen:
        wanted = {"order_id": order["order_id"], "items": order["items"]}
        reply = client.call("POST", f"{services['inventory'].url}/reserve", json=wanted)
        if reply.status_code != 200:
            raise LabError(f"a reservation that was asked for again was answered {reply.status_code}")
    return f"{COPIES} reservations asked for again"


def _poison(deed: Deed) -> str:
    """Send malformed messages of every kind among the good ones; or malformed requests, where there are no messages."""
    if deed.service.is_broker:
        kinds = messages.poison(deed.recorder, f"poison-{deed.number}", deed.fault.settings["queue"])
        return f"{kinds} kinds of poison"
    url, headers = f"{deed.service.url}/order", {"Content-Type": "application/json"}
    bodies = messages.poisons(ORDER_PLACED, INVENTORY_RESERVED).values()
    codes = [client.call("POST", url, data=body, headers=headers).status_code for body in bodies]
    if not all(400 <= code < 500 for code in codes):
        raise LabError(f"malformed requests were answered {dict(Counter(codes))}")
    return f"{len(codes)} malformed requests, all refused"


DOING: dict[str, Do] = {
    "kill": partial(_act, "kill"),
    "broker": partial(_act, "kill"),
    "broker_frozen": partial(_act, "pause"),
    "freeze": partial(_act, "pause"),
    "configure": _configure,
    "crash": _arm,
    "duplicates": _duplicate,
    "poison": _poison,
    "database_away": partial(_take, resources.DATABASE),
    "disk_full": partial(_take, resources.DISK),
    "flaps": _flap,
    chaos.ADDED: partial(_act, "start"),
}
RECOVERIES: dict[str, Do] = {
    "kill": partial(_act, "start"),
    "broker": partial(_act, "start"),
    "broker_frozen": partial(_act, "unpause"),
    "freeze": partial(_act, "unpause"),
    "configure": _reset,
    "crash": _after_crash,
    "database_away": partial(_give_back, resources.DATABASE),
    "disk_full": partial(_give_back, resources.DISK),
    "flaps": _reset,
    chaos.ADDED: partial(_act, "stop"),
}
