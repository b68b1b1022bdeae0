"""A process of a service, what stands in its way, and the exception that ends it."""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from campus.lifecycle import Part, PartGroup
from campus.loop import Loop

from lab.simulation.wsgi import Client

QUICK_SECONDS = 0.2  # a loop that rests longer than this between two rounds keeps its own time


START = "start"  # what a process does that makes its service


class Crash(BaseException):
    """The process is gone. Nothing in a service catches this, as nothing in it sees SIGKILL."""


@dataclass
class Arm:
    """What waits for a process at one of its effects: it crashes there, or stands still while others act.

    `kind` is `crash`, `freeze` (the whole process) or `hold` (the one thread; the process's other loops and requests go
    on). `others` is how many further actions are performed meanwhile, `seconds` how much time passes. With `doing` it
    waits for the effect in this work only.
    """

    kind: str
    effect: str
    others: int = 0
    seconds: float = 0.0
    doing: str | None = None


@dataclass
class Frame:
    """A piece of a service's code that runs now, or stands still while a frame above it runs."""

    process: "Process"
    doing: str  # "POST /order", or the name of a loop
    life: int  # of the process, when the frame began
    in_transaction: int = 0
    asked: bool = False  # a request, so that a thread of its own works on it


@dataclass
class Process:
    """One process, through all its lives: a crash ends a life, and its database goes on."""

    name: str
    service: str
    life: int = 0
    alive: bool = False
    frozen: int = 0  # how many frames of it hold all of it
    restart_at: float | None = None  # when its supervisor starts it again after a crash
    app: Any = None
    client: Client | None = None
    loops: list[Loop] = field(default_factory=list)
    rests: dict[str, float] = field(default_factory=dict)  # loop → when it may begin a round
    busy: set[str] = field(default_factory=set)  # loops that stand still in the middle of a round
    arms: list[Arm] = field(default_factory=list)
    memory: dict[str, Any] = field(default_factory=dict)  # what a part keeps for this life

    @property
    def works(self) -> bool:
        """Whether it can do anything now."""
        return self.alive and not self.frozen

    @property
    def parts(self) -> list[Part]:
        """All parts of its service, and theirs."""
        return list(_all(self.app.extensions["campus"])) if self.app is not None else []

    def begin_life(self, app: Any) -> None:
        """Take over a new app: everything that was in memory is gone."""
        self.app, self.client = app, Client(app)
        self.loops = [part for part in self.parts if isinstance(part, Loop)]
        for loop in self.loops:
            loop._error = None  # as Loop.start says, without its thread

    def end_life(self) -> None:
        """Forget everything."""
        self.life += 1
        self.alive, self.frozen, self.restart_at = False, 0, None
        self.app = self.client = None
        self.loops, self.rests, self.busy, self.arms, self.memory = [], {}, set(), [], {}


def _all(part: Part) -> Iterator[Part]:
    yield part
    if isinstance(part, PartGroup):
        for inner in part.parts:
            yield from _all(inner)


def service_of(process: str) -> str:
    """Return the service of a process: "inventory" of its replica "inventory-2"."""
    return process.partition("-")[0]
