"""The simulation of one part: processes that live, crash and stand still, in one thread and in virtual time.

A schedule is a flat list of actions. `play` performs them one after the other. A process runs as a frame: a call that
is made inside `run`. At each effect a frame may stand still, and performs the next actions of the schedule itself,
nested, before it goes on. So other processes act between any two effects of one, without threads, and a schedule stays
a list that can be made shorter.
"""

import gc
from collections import deque
from collections.abc import Callable, Sequence
from typing import TypeVar

from campus import clock as campus_clock
from campus.loop import Loop

from lab.simulation import holes
from lab.simulation.clients import Clients
from lab.simulation.code import Code
from lab.simulation.disk import Disks
from lab.simulation.part import Action, SimulatedPart
from lab.simulation.process import QUICK_SECONDS, START, Arm, Crash, Frame, Process, service_of
from lab.simulation.trace import SIDE_WORK, Trace
from lab.simulation.virtual_clock import VirtualClock

T = TypeVar("T")

STOCK = '{"burger": 1000, "pizza": 6, "soda": 1000}'
ACTION_SECONDS = 0.01
RESTART_SECONDS = 1.0  # until the supervisor has started a process again
MAX_DEPTH = 4  # frames that stand still at once
EFFECTS = ("commit:before", "commit:after", "wait")

# A place where a process can be killed: (service, what it does, effect).
Point = tuple[str, str, str]


class Simulation:
    """Plays schedules of one part, with one version of its code."""

    def __init__(self, part: SimulatedPart, code: Code | None = None, *, replicas: bool = False) -> None:
        if replicas:
            part.apps = {**part.apps, **part.replicas}
        self.part, self.code = part, code or Code()
        self.clock = VirtualClock(pass_time=self._wait, receive=self._receive)
        self.disks = Disks(effect=self.effect, frame=lambda: self.frame)
        self.processes: dict[str, Process] = {}
        self.stack: list[Frame] = []
        self.points: set[Point] = set()  # all that were passed, over all runs
        self.crashes: set[Point] = set()  # those at which a process was killed
        self.effects = 0  # of this run
        self.watch: Callable[[Action], None] = lambda _: None  # called before each action
        self.crash_at: set[int] = set()  # the effects of a run, by their number, at which the running process crashes
        self._prepare()

    def _prepare(self) -> None:
        holes.watch()
        gc.freeze()  # what is imported stays: looking through it again and again took a tenth of the time
        campus_clock.use(self.clock)
        self.part.patch()
        self.code.load(self.part, self.disks, current=lambda: self.frame.process.service if self.frame else "")

    @property
    def frame(self) -> Frame | None:
        """The piece of a service's code that runs now."""
        return self.stack[-1] if self.stack else None

    def begin(self) -> None:
        """Begin a run: empty databases, and every process started."""
        self.clock.begin()
        self.trace, self.clients = Trace(), Clients(self)
        self.stack, self.remaining, self.effects, self.crash_at = [], deque(), 0, set()
        self.disks.clear()
        self.code.forget()
        self.processes = {name: Process(name, service_of(name)) for name in self.part.apps}
        self.part.begin(self)
        for process in self.processes.values():
            if process.name == process.service:  # its replica is started by a schedule
                self.start(process)
        self.trace.entries.clear()
        self.effects = 0

    def play(self, schedule: Sequence[Action]) -> None:
        """Begin a run and perform a schedule."""
        self.begin()
        self.remaining = deque(schedule)
        while self.remaining:
            self.perform(self.remaining.popleft())

    # processes

    def start(self, process: Process) -> None:
        """Start a process that is dead."""
        if process.alive:
            return
        process.alive, process.restart_at = True, None
        self.code.forget(process.service)

        def create() -> None:
            env = {"DATABASE_URL": "sqlite://", "INITIAL_STOCK": STOCK} | self.part.env(process.name)
            process.begin_life(self.code.create_app(self.part.apps[process.name], env))

        self.run(process, START, create)
        if process.app is not None:
            self.part.started(process)

    def kill(self, process: Process, *, why: str = "killed", restart: bool = False) -> None:
        """End a process as SIGKILL does. With `restart` its supervisor starts it again soon."""
        if process.alive:
            self.trace.add("crash", process.name, why)
            self.clients.record("fault", verb="kill", service=process.name)
            self.part.died(process)
            process.end_life()
            if restart:
                process.restart_at = self.clock.seconds + RESTART_SECONDS

    def run(self, process: Process, doing: str, function: Callable[[], T], *, asked: bool = False) -> T | None:
        """Run code of this process; return None when the process dies of it, or has died meanwhile."""
        frame, depth = Frame(process, doing, process.life, asked=asked), self.trace.depth
        self.stack.append(frame)
        try:
            return function()
        except Crash as crash:
            self.trace.depth = depth
            if process.life == frame.life:
                self.kill(process, why=str(crash), restart=True)
            return None
        finally:
            self.stack.pop()

    def step(self, process: Process, *, force: bool = False) -> None:
        """Do one round of each loop of a process that is due; with `force` also of those that rest for a moment."""
        self.receive(process)
        life = process.life
        for loop in list(process.loops):
            if process.works and process.life == life and loop.name not in process.busy:
                rests = process.rests.get(loop.name, 0.0) > self.clock.seconds
                if not rests or (force and loop._idle <= QUICK_SECONDS):
                    self._round(process, loop)

    def _round(self, process: Process, loop: Loop) -> None:
        busy = process.busy  # of this life
        busy.add(loop.name)
        pause = self.run(process, loop.name, lambda: loop.round(0.0))
        busy.discard(loop.name)
        if pause is not None:
            process.rests[loop.name] = self.clock.seconds + pause
        self.receive(process)

    def receive(self, process: Process) -> None:
        """Let the clients of a process do what their own threads would do now."""
        if process.works:
            self.part.receive(process)

    # effects

    def effect(self, name: str) -> None:
        """Say that the running frame has come to an effect: here it may crash, or stand still while others act."""
        frame = self.frame
        if frame is None:
            return
        self._die_if_dead(frame)
        self.effects += 1
        process = frame.process
        point = process.service, frame.doing, name
        self.points.add(point)
        if name == "commit:after" and frame.doing not in SIDE_WORK:
            self.trace.add("commit", process.name, f"({frame.doing})")
        if self.effects in self.crash_at:
            self._crash(point)
        arm = self._arm_at(process, frame, name) if process.arms else None
        if arm is not None:
            process.arms.remove(arm)
            if arm.kind == "crash":
                self._crash(point)
            self._stand_still(frame, arm)

    def _crash(self, point: Point) -> None:
        self.crashes.add(point)
        raise Crash(f"killed at {point[2]} ({point[1]})")

    def _arm_at(self, process: Process, frame: Frame, effect: str) -> Arm | None:
        """Return what waits here; but a thread that has the database's turn does not stand still."""
        inside = any(f.process is process and f.in_transaction for f in self.stack)
        stays = inside and process.service not in self.code.without_transactions
        here = (arm for arm in process.arms if arm.effect == effect and arm.doing in (None, frame.doing))
        return next((arm for arm in here if arm.kind == "crash" or not stays), None)

    def _stand_still(self, frame: Frame, arm: Arm) -> None:
        process, whole = frame.process, arm.kind == "freeze"
        self.trace.add(
            "still", process.name, f"{'all of it ' if whole else ''}stands still at {arm.effect} ({frame.doing})"
        )
        process.frozen += whole
        self.trace.depth += 1
        self.pass_time(arm.seconds)
        for _ in range(arm.others if self.trace.depth <= MAX_DEPTH else 0):
            if self.remaining:
                self.perform(self.remaining.popleft())
        self.trace.depth -= 1
        self._die_if_dead(frame)
        process.frozen -= whole
        self.trace.add("note", process.name, "goes on")

    def _die_if_dead(self, frame: Frame) -> None:
        if frame.process.life != frame.life:
            raise Crash

    # time

    def pass_time(self, seconds: float) -> None:
        """Let time pass, and happen what is due."""
        self.clock.seconds += seconds
        self.trace.now = self.clock.seconds
        for process in self.processes.values():
            if process.restart_at is not None and process.restart_at <= self.clock.seconds:
                self.start(process)
        self.part.tick()

    def _wait(self, seconds: float) -> None:
        """Let the running frame wait so long."""
        self.effect("wait")
        self.pass_time(seconds)
        if self.frame:
            self._die_if_dead(self.frame)

    def _receive(self) -> None:
        if self.frame:
            self.receive(self.frame.process)
            self._die_if_dead(self.frame)

    def all_work(self, seconds: float) -> None:
        """Let so much time pass while every process works: often at first, as then something happens."""
        until, pause = self.clock.seconds + seconds, 0.5
        while self.clock.seconds < until:
            self.pass_time(pause)
            pause = min(2.0, 1.2 * pause)
            for process in self.processes.values():
                self.step(process)

    def perform(self, action: Action) -> None:
        """Perform one action of a schedule."""
        self.watch(action)
        self.pass_time(ACTION_SECONDS)
        kind, *values = action
        common = getattr(self.clients, f"do_{kind}", None)
        if common is not None:
            common(*values)
        else:
            self.part.perform(action)
