"""Carries a schedule of faults out beside a load, then heals everything.

Each fault has a thread of its own: one that takes longer than it should must not hold up the others. What cannot be
done, because another fault is in its way, is noted and left.
"""

import contextlib
import functools
import random
import threading
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

from campus.events import INVENTORY_RESERVED, ORDER_PLACED

from lab import client
from lab.errors import LabError
from lab.faults import inject, messages, resources
from lab.faults import schedule as chaos
from lab.faults.schedule import Fault
from lab.history.recorder import Journal
from lab.runtime import lifecycle
from lab.services import Service, services_of

LOAD = "chaos"
COPIES = 20
MOST_LISTED = 1000
FLAP = 0.4  # seconds with faults, and seconds without

Say = Callable[[str], None]

_taken: dict[int, Callable[[], None]] = {}  # by the number of the fault: what gives it back


def run(journal: Journal, seed: int, minutes: float, say: Say) -> None:
    """Carry out what a seed draws while the load `chaos` runs, then heal everything. Raises LabError."""
    part = journal.head["part"]
    faults = chaos.schedule(part, seed, minutes)
    journal.note(type="schedule", seed=seed, minutes=minutes, faults=[fault.as_dict() for fault in faults],
                 kinds=chaos.kinds_of(part))  # fmt: skip
    carry_out(journal, faults, say)
    heal(part, say)


def carry_out(journal: Journal, faults: list[Fault], say: Say) -> None:
    """Do each fault at its time and mend it at its time; note what was done."""
    began = journal.begun(LOAD)
    stopped = threading.Event()
    with ThreadPoolExecutor(max_workers=len(faults)) as threads:
        stage = Stage(journal, began, stopped, say)
        futures = [threads.submit(stage.play, number, fault) for number, fault in enumerate(faults)]
        try:
            for future in futures:
                future.result()
        finally:  # after Ctrl-C nobody waits for what is still to come
            stopped.set()


@dataclass(frozen=True)
class Stage:
    """Where faults are played: a run, its clock, and whether it is over."""

    journal: Journal
    began: float
    stopped: threading.Event
    say: Say

    def play(self, number: int, fault: Fault) -> None:
        """Wait for a fault's time, do it, wait, mend it, and note what came of it."""
        if self._waited(fault.at):
            return
        since = self.journal.now()
        done, said = _tried(DOING[fault.kind], self.journal, number, fault)
        if fault.kind in MENDING:
            if self._waited(fault.until):
                return
            mended, said_then = _tried(MENDING[fault.kind], self.journal, number, fault)
            done = done and (mended or fault.kind != "crash")  # only then does one know whether it crashed
            said = said or said_then
        times = {"began": round(since, 6), "ended": round(self.journal.now(), 6)}
        self.journal.note(type="carried out", fault=number, **times, done=done, said=said)
        self.say(f"  {since - self.began:5.1f} s  {fault.kind} {fault.service}: {said or 'done'}")

    def _waited(self, seconds: float) -> bool:
        """Wait until so many seconds of the load have passed; return whether the run is over by then."""
        return self.stopped.wait(max(0.0, self.began + seconds - self.journal.now()))


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


def _tried(do: Callable[[Journal, int, Fault], str], journal: Journal, number: int, fault: Fault) -> tuple[bool, str]:
    """Return whether it could be done, and what is to be said of it."""
    try:
        return True, do(journal, number, fault)
    except (LabError, ValueError, KeyError) as error:
        return False, str(error).partition("\n")[0]


def _service(journal: Journal, fault: Fault) -> Service:
    return services_of(journal.head["part"])[fault.service]


def _act(verb: str, journal: Journal, number: int, fault: Fault) -> str:
    inject.act(verb, _service(journal, fault))
    return ""


def _configure(journal: Journal, number: int, fault: Fault) -> str:
    inject.configure(_service(journal, fault), fault.settings)
    return ""


def _reset(journal: Journal, number: int, fault: Fault) -> str:
    inject.reset(_service(journal, fault))
    return ""


def _flap(journal: Journal, number: int, fault: Fault) -> str:
    """Let a service lose its connections at every message or request, again and again, with pauses between."""
    service, end = _service(journal, fault), journal.now() + fault.seconds
    times = 0
    while journal.now() < end:
        inject.configure(service, fault.settings)
        time.sleep(FLAP)
        inject.reset(service)
        time.sleep(FLAP)
        times += 1
    return f"{times} times"


def _take(what: str, journal: Journal, number: int, fault: Fault) -> str:
    _taken[number] = resources.TAKING[what](_service(journal, fault))
    journal.note(type="fault", verb="take", service=fault.service, value=what)
    return ""


def _give_back(what: str, journal: Journal, number: int, fault: Fault) -> str:
    if number not in _taken:
        raise LabError("nothing was taken")
    _taken.pop(number)()
    journal.note(type="fault", verb="give back", service=fault.service, value=what)
    return ""


def _arm(journal: Journal, number: int, fault: Fault) -> str:
    """Tell a service to crash at a point, perhaps before it can answer. Raises LabError when it cannot be asked."""
    service = _service(journal, fault)
    inject.configured(service)  # it is there, so it will be told
    with contextlib.suppress(LabError):
        inject.configure(service, fault.settings)
    return ""


def _after_crash(journal: Journal, number: int, fault: Fault) -> str:
    """Start the service if it does not come back by itself. Raises LabError when it never came to its crash."""
    service, chosen = _service(journal, fault), lifecycle.choose()
    if chosen.state(service) == "exited":
        inject.act("start", service)
    lifecycle.wait_ready(chosen, service)
    waits = inject.configured(service)["crash_point"] is not None  # a new process knows nothing of it
    inject.reset(service)
    if waits:
        raise LabError("it did not come to that point")
    return "it crashed"


def _duplicate(journal: Journal, number: int, fault: Fault) -> str:
    """Deliver what belongs to some finished orders once more."""
    services = services_of(journal.head["part"])
    query = {"status": "notified", "limit": MOST_LISTED}
    orders = client.call("GET", f"{services['order'].url}/orders", params=query).json()["orders"]
    if len(orders) < COPIES:
        raise LabError("too few orders are finished")
    chosen = random.Random(number).sample(orders, COPIES)
    if fault.service in services and services[fault.service].is_broker:
        messages.place_again(journal, f"again-{number}", chosen)
        return f"{COPIES} events published again"
    return f"{_reserve_again(services['inventory'], chosen)} reservations asked for again"


def _reserve_again(inventory: Service, orders: list[dict[str, Any]]) -> int:
    for order in orders:
        wanted = {"order_id": order["order_id"], "items": order["items"]}
        reply = client.call("POST", f"{inventory.url}/reserve", json=wanted)
        if reply.status_code != 200:
            raise LabError(f"a reservation that was asked for again was answered {reply.status_code}")
    return len(orders)


def _poison(journal: Journal, number: int, fault: Fault) -> str:
    """Send malformed messages of every kind among the good ones; or malformed requests, where there are no messages."""
    service = _service(journal, fault)
    if service.is_broker:
        kinds = messages.poison(journal, f"poison-{number}", fault.settings["queue"])
        return f"{kinds} kinds of poison"
    headers = {"Content-Type": "application/json"}
    bodies = messages.poisons(ORDER_PLACED, INVENTORY_RESERVED).values()
    codes = [client.call("POST", f"{service.url}/order", data=body, headers=headers).status_code for body in bodies]
    if not all(400 <= code < 500 for code in codes):
        raise LabError(f"malformed requests were answered {dict(Counter(codes))}")
    return f"{len(codes)} malformed requests, all refused"


DOING: dict[str, Callable[[Journal, int, Fault], str]] = {
    "kill": functools.partial(_act, "kill"),
    "broker": functools.partial(_act, "kill"),
    "broker_frozen": functools.partial(_act, "pause"),
    "freeze": functools.partial(_act, "pause"),
    "configure": _configure,
    "crash": _arm,
    "duplicates": _duplicate,
    "poison": _poison,
    "database_away": functools.partial(_take, resources.DATABASE),
    "disk_full": functools.partial(_take, resources.DISK),
    "flaps": _flap,
}
MENDING: dict[str, Callable[[Journal, int, Fault], str]] = {
    "kill": functools.partial(_act, "start"),
    "broker": functools.partial(_act, "start"),
    "broker_frozen": functools.partial(_act, "unpause"),
    "freeze": functools.partial(_act, "unpause"),
    "configure": _reset,
    "crash": _after_crash,
    "database_away": functools.partial(_give_back, resources.DATABASE),
    "disk_full": functools.partial(_give_back, resources.DISK),
    "flaps": _reset,
}
