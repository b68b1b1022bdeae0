"""Chaos with a seed: which faults a part meets, when and for how long. The same seed gives the same faults.

A cluster has three nodes of the broker, three replicas of inventory, of which the third comes and goes, and PostgreSQL.
Nothing is done here; `faults.run` carries a schedule out.
"""

from dataclasses import dataclass, field
from itertools import chain, cycle
from random import Random
from typing import Any

from lab.brokers import kafka, rabbitmq
from lab.compose import NODES, kind_of, replicas
from lab.errors import LabError

LEAST_MINUTES, MAX_MINUTES = 0.2, 60.0
BEGINNING, END = 1.5, 2.5  # seconds of the load without a fault
GAP = (2.0, 5.0)  # seconds from the beginning of one fault to the next
AT_ONCE = 2  # the most faults at a time, so that orders are still completed
REST = 3.0  # seconds that a service is left alone after most faults
LONG_REST = 10.0  # after a broker's fault, and after a death in Kafka's groups: a session of 10 s must end first
LONG_FREEZE = 11.5  # s: longer than a consumer's session in Kafka (10 s), and than its time-out in Part A (5 s)
FAILING_REST = 16.0  # s until a service that failed messages may fail some again: no message meets five failures

SERVICES = {
    "sync-rest": ("order", "inventory", "notification"),
    "async-rabbitmq": ("order", "inventory", "notification"),
    "streaming-kafka": ("order", "inventory", "notification", "analytics"),
}
BROKERS = {"async-rabbitmq": rabbitmq, "streaming-kafka": kafka}
FIRST = ("kill", "freeze")  # these are in every schedule, however short
BROKER = ("broker", "broker_frozen")  # these are for parts that have one; in a cluster they meet one node
OWN_DATABASE = ("database_away", "disk_full")  # these are for services whose database is a file of their own
ADDED = "replica_added"  # this is for a cluster: the third inventory is started, and stopped again
OTHERS = (
    "kill", "freeze", *BROKER, "configure", "configure", "crash", "duplicates", "poison",
    *OWN_DATABASE, "flaps", ADDED,
)  # fmt: skip
*PERMANENT, SPARE = replicas("inventory", 3)
KINDS = tuple(dict.fromkeys(OTHERS))


@dataclass(frozen=True)
class Fault:
    """One fault: done so many seconds into the load, mended so many seconds later, or at once over (0)."""

    at: float
    kind: str
    service: str
    seconds: float = 0.0
    settings: dict[str, Any] = field(default_factory=dict)

    @property
    def until(self) -> float:
        """When it is mended."""
        return self.at + self.seconds

    @property
    def fails(self) -> bool:
        """Whether messages count what it does as a failed attempt."""
        return self.settings.get("failure_mode") in ("error", "reject")


def schedule(part: str, seed: int, minutes: float, *, cluster: bool = False) -> list[Fault]:
    """Return the faults for so many minutes of load, in order of time; all end before it does. Raises LabError."""
    if not LEAST_MINUTES <= minutes <= MAX_MINUTES:
        raise LabError(f"chaos cannot last {minutes:g} minutes", f"from {LEAST_MINUTES} to {MAX_MINUTES:g}")
    chance = Random(f"{part}:{seed}{':cluster' if cluster else ''}")
    # Each kind comes once before any comes again. A cluster begins with its own.
    others = [kind for kind in OTHERS if kind in kinds_of(part, cluster=cluster)]
    rounds = (chance.sample(others, len(others)) for _ in cycle([None]))
    first = (*FIRST, "broker", ADDED) if cluster else FIRST
    kinds = chain(chance.sample(first, len(first)), chain.from_iterable(rounds))
    end = 60 * minutes - END
    faults: list[Fault] = []
    at = BEGINNING
    while at < end - 1:
        if sum(fault.until > at for fault in faults) < AT_ONCE:
            faults += _drawn(chance, part, next(kinds), at, end, faults, cluster)
        at = round(at + chance.uniform(*GAP), 1)
    return faults


def kinds_of(part: str, *, cluster: bool = False) -> tuple[str, ...]:
    """Return the kinds of fault that a part can meet."""
    lacking = {*(() if part in BROKERS else BROKER), *(OWN_DATABASE if cluster else (ADDED,))}
    return tuple(kind for kind in KINDS if kind not in lacking)


def _drawn(
    chance: Random, part: str, kind: str, at: float, end: float, faults: list[Fault], cluster: bool
) -> list[Fault]:
    """Return a fault of this kind; none when every service that it could meet is not to be disturbed now."""
    resting = {_who_rests(part, fault.service) for fault in faults if fault.until + rest_after(part, fault) > at}
    places = [service for service in _places(part, kind, cluster) if _who_rests(part, service) not in resting]
    if not places:
        return []
    service = chance.choice(places)
    seconds = round(min(_seconds(chance, kind), end - at), 1)
    failed = any(f.service == service and f.fails and f.until + FAILING_REST > at for f in faults)
    settings = _settings(chance, part, kind, failed)
    if kind in ("configure", "flaps"):
        settings |= {"expires_in": round(seconds + REST, 1)}  # if the service cannot be reached then
    return [Fault(at, kind, service, seconds, settings)]


def rest_after(part: str, fault: Fault) -> float:
    """Return for how many seconds a service is left alone after a fault."""
    dies_in_a_group = part == "streaming-kafka" and fault.kind in ("kill", "crash")
    return LONG_REST if fault.kind in BROKER or dies_in_a_group else REST


def _who_rests(part: str, service: str) -> str:
    """Return who is left alone after a fault of a service: all nodes after one of them, as two would be a majority."""
    return BROKERS[part].NAME if part in BROKERS and kind_of(service) == BROKERS[part].NAME else service


def _places(part: str, kind: str, cluster: bool) -> tuple[str, ...]:
    if part in BROKERS and kind in (*BROKER, "duplicates", "poison"):
        broker = BROKERS[part].NAME
        return tuple(replicas(broker, NODES)) if cluster and kind in BROKER else (broker,)
    if kind == ADDED:
        return (SPARE,)
    if cluster:
        return (*PERMANENT, *(service for service in SERVICES[part] if service != kind_of(SPARE)))
    return {"duplicates": ("inventory",), "poison": ("order",)}.get(kind, SERVICES[part])


def _seconds(chance: Random, kind: str) -> float:
    if kind in ("duplicates", "poison"):
        return 0.0
    if kind == "freeze" and chance.random() < 0.25:
        return LONG_FREEZE
    if kind == "broker_frozen":
        return chance.uniform(2.0, 8.0)
    return chance.uniform(1.0, 5.0)


def _settings(chance: Random, part: str, kind: str, failed: bool) -> dict[str, Any]:
    """Return what goes with a kind of fault; `failed` is whether the service failed messages not long ago."""
    if kind == "flaps":
        return {"failure_mode": "drop", "failure_rate": 1.0}
    if kind == "crash":
        after = ("after_publish",) if part in BROKERS else ()
        return {"crash_point": chance.choice(("before_commit", "after_commit", *after))}
    if kind == "poison" and part in BROKERS:
        return {"queue": chance.choice((BROKERS[part].PLACED, BROKERS[part].RESERVED))}
    if kind != "configure":
        return {}
    modes = ("hang", "drop") if failed else ("error", "reject", "hang", "drop")
    what = chance.choice(("delay", *modes, *(("paused", "throttle") if part in BROKERS else ())))
    if what == "delay":
        return {"delay": round(chance.uniform(0.05, 0.4), 2), "jitter": round(chance.uniform(0.0, 0.05), 2)}
    if what == "paused":
        return {"paused": True}
    if what == "throttle":
        return {"throttle": round(chance.uniform(0.02, 0.2), 2)}
    # Each request that hangs holds a thread until its client gives up: a few are enough.
    most = 0.08 if what == "hang" else 0.5
    return {"failure_rate": round(chance.uniform(most / 4, most), 2), "failure_mode": what}
