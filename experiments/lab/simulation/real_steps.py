"""A schedule as a story for real services: the lines of a script, or a sentence on what no line of `./lab` can do.

In a schedule a service works only when an action says so, and can stand still at any effect. Real services always work.
So a script goes by stretches, each up to the next time in which all work:

- Crash points, delays and other settings of a stretch come before its orders.
- Where a service is killed after an order, the broker is frozen from before the order: nothing goes on in between.
- A broker that goes away is first frozen under a load, and then killed: what was sent to it is gone.
- A service that is killed in the middle of a wait is killed under a load, as one of many requests waits at any moment.
- Where two orders must meet inside a request, many are sent at once, as chance decides whether two of them meet.
"""

from collections.abc import Iterator, Sequence

from lab.simulation.part import Action, SimulatedPart
from lab.simulation.real_actions import Lines, Story
from lab.simulation.verdict import SENTINEL

SETTINGS = ("crash", "configure", "cut", "freeze", "hold")
UNDER_WAY = "--rate 10 --seconds 8"  # an order service soon sees that its broker does not answer
MANY_UNDER_WAY = "--clients 4 --seconds 4 --timeout 10"
BREAK_AFTER, KILL_AFTER = 2, 1  # seconds: into a load that is under way, and after that
WORK_SECONDS = 2.0  # for one round of a service


def story(part: SimulatedPart, schedule: Sequence[Action]) -> Story:
    """Return a schedule as the lines of a script, which end with everything healed."""
    script = _Script(part)
    for stretch, seconds in _stretches(schedule):
        script.add_stretch(stretch)
        if seconds:
            script.add(f"sleep {seconds:g}")
    script.heal()
    return script.story


def _stretches(schedule: Sequence[Action]) -> Iterator[tuple[list[tuple[int, Action]], float]]:
    """Yield the numbered actions up to each time in which all work, and how long that is."""
    stretch: list[tuple[int, Action]] = []
    for number, action in enumerate(schedule, 1):
        if action[0] in ("run", "step"):
            yield stretch, action[1] if action[0] == "run" else WORK_SECONDS
            stretch = []
        else:
            stretch.append((number, action))
    yield stretch, 0.0


class _Script(Lines):
    """The script of one schedule, stretch by stretch."""

    def add_stretch(self, stretch: list[tuple[int, Action]]) -> None:
        """Add the actions of one stretch: first what is set, then what happens."""
        kinds = [action[0] for _, action in stretch]
        self._meets = kinds.count("order") > 1 and "hold" in kinds
        first = kinds.index("order") if "order" in kinds else None
        losses = [n for n, (_, action) in enumerate(stretch) if first is not None and self._loses(action, n > first)]
        for n, (number, action) in enumerate(stretch):
            if action[0] in SETTINGS and n not in losses:
                self._do(number, action)
        if losses:
            self._lose([each for n, each in enumerate(stretch) if n in losses or each[1][0] == "order"])
        elif self.part.name == "async-rabbitmq" and first is not None and "kill" in kinds[first:]:
            self._freeze()
        for n, (number, action) in enumerate(stretch):
            if action[0] not in SETTINGS and n not in losses and not (losses and action[0] == "order"):
                self._do(number, action)
        self._thaw()

    def heal(self) -> None:
        """End all that was done."""
        self.add('step "everything is healed"')
        self._revive(*[name for name in (self.part.broker or "", *self.part.apps) if name in self._dead])
        for name, settings in self._configured.items():
            if "crash_point" in settings:
                self.add(f"lab start {name}")  # waits until its new process is ready
            self.add(f"lab configure {name} --reset")
        self.add(f"lab load {SENTINEL} --item burger=1 --clients 1 --count 1 --timeout 10")  # things work again

    def _loses(self, action: Action, after_order: bool) -> bool:
        """Whether an action loses what the order service has sent, and the broker or the called has not finished."""
        kind, *values = action
        if self.part.broker is None:
            return kind == "crash" and values[1] == "wait" and not after_order
        if self.part.name == "async-rabbitmq":
            crash = kind == "crash" and values[0] == "order" and after_order
            return crash or kind == "drop" or action in (["cut", "order", "publish:written"], ["broker", False])
        if self.part.name == "streaming-kafka":
            return (kind in ("cut", "apart") and values[0] == "order") or action == ["broker", False]
        return False

    def _lose(self, actions: list[tuple[int, Action]]) -> None:
        """While orders come, freeze the broker and kill it; without one, kill the service that is to die in a wait."""
        broker = self.part.broker
        for number, action in actions:
            self._say(number, action)
        _, sku, qty, *_ = next(action for _, action in actions if action[0] == "order")
        crashed = [action[1] for _, action in actions if action[0] == "crash"]
        self.add(f"lab load {self._load()} --item {sku}={qty} {UNDER_WAY if broker else MANY_UNDER_WAY} &")
        self.add(f"lab at {self._loads[-1]} {BREAK_AFTER}")
        if broker:
            self.add(f"lab freeze {broker}", f"sleep {KILL_AFTER}", f"lab kill {broker}", "wait_for_loads")
            self.add(*(f"lab kill {name}" for name in crashed))
        else:
            self.add(*(f"lab kill {name}" for name in crashed), "wait_for_loads")
        dead = [broker, *crashed] if broker else crashed
        if ["broker", False] in [action for _, action in actions]:
            self._dead |= dict.fromkeys(dead)
        else:
            self._revive(*dead)
