"""What one action of a schedule is for real services: lines of a script, or why there are none."""

import shlex
from dataclasses import dataclass, field
from typing import Any

from lab.simulation.part import Action, SimulatedPart
from lab.simulation.process import START
from lab.simulation.words import sentence

# Effect → the crash point of a service that leaves the same behind. At other effects there is nothing to leave.
CRASH_POINTS = {
    **dict.fromkeys(("commit:before", "poll:after"), "before_commit"),
    **dict.fromkeys(("commit:after", "request:before", "publish:before", "publish:written", "produce:before",
                     "offsets:before", "transaction-offsets:before", "transaction-offsets:after",
                     "transaction:before"), "after_commit"),
    **dict.fromkeys(("publish:arrived", "ack:before", "ack:written", "produce:after", "offsets:after",
                     "transaction:after"), "after_publish"),
}  # fmt: skip
SESSION_SECONDS = 10.0  # a consumer that stands still for longer is taken for dead
LATE = {"order": "timeout=0.5", "answers": "delay=0.75"}  # the answer comes after its caller has stopped waiting
# What the network of Part A does to a call → what the service that is called is told to do.
CALLS = {
    "delayed": LATE["answers"],
    "reply lost": LATE["answers"],
    "lost": "failure_rate=1 failure_mode=hang",
    "slow": "delay=3",
}
CALLED = ("inventory", "notification")  # by the order service of Part A, one after the other
AT_ONCE = "--clients 8 --count 80"
IN_THE_WAY = 5  # orders while the broker is frozen: the message of the first one may wait in its socket
QUEUES = {"async-rabbitmq": "order-placed", "streaming-kafka": "order-events"}


@dataclass
class Story:
    """What a script does, line by line; `unmapped` says what it cannot do."""

    lines: list[str] = field(default_factory=list)
    unmapped: list[str] = field(default_factory=list)


class Lines:
    """The lines of one script; `_do_KIND` adds those of an action of that kind, or returns why there are none."""

    def __init__(self, part: SimulatedPart) -> None:
        self.part, self.story = part, Story()
        self._loads: list[str] = []
        self._configured: dict[str, str] = {}  # service → what was set last
        self._dead: dict[str, None] = {}
        self._frozen = self._meets = False

    def add(self, *lines: str) -> None:
        """Add lines to the script."""
        self.story.lines += lines

    def _freeze(self) -> None:
        self._frozen = True
        self.add(f"lab freeze {self.part.broker}")

    def _thaw(self) -> None:
        if self._frozen:
            self._frozen = False
            self.add(f"lab unfreeze {self.part.broker}")

    def _revive(self, *names: str) -> None:
        for name in names:
            self._dead.pop(name, None)
            self.add(f"lab start {name}")

    def _load(self) -> str:
        self._loads.append(f"order{len(self._loads) + 1}")
        return self._loads[-1]

    def _say(self, number: int, action: Action) -> None:
        self.add(f"step {shlex.quote(f'{number}. {sentence(self.part, action)}'.replace(chr(39), ''))}")

    def _do(self, number: int, action: Action) -> None:
        self._say(number, action)
        done = getattr(self, f"_do_{action[0]}", self._cannot)(*action[1:])
        if isinstance(done, str):
            self.story.unmapped.append(f"Action {number} ({sentence(self.part, action)}): {done}")

    def _cannot(self, *_: Any) -> str:
        return "./lab has no line that does this to a real service."

    def _do_order(self, sku: str, qty: int, key: str | None = None) -> str | None:
        if key is not None:
            return "a load sends no Idempotency-Key."
        shape = AT_ONCE if self._meets else f"--clients 1 --count {IN_THE_WAY if self._frozen else 1}"
        self.add(f"lab load {self._load()} --item {sku}={qty} {shape} --timeout 10")
        return None

    def _do_kill(self, name: str) -> None:
        self.add(f"lab kill {name}")
        self._dead[name] = None

    def _do_start(self, name: str) -> str | None:
        if name not in self.part.apps or name in self.part.replicas or "-" in name:
            return "a second process of a service is not started by a script."
        if name in self._dead:
            self._thaw()  # it is ready only when its broker answers
            self._revive(name)
        return None

    def _do_broker(self, up: bool) -> None:
        broker = self.part.broker or ""
        if up and broker in self._dead:
            self._revive(broker)
        elif not up:
            self._do_kill(broker)

    def _do_drop(self, _name: str) -> None:
        self.add(f"lab kill {self.part.broker}")  # all connections are lost then, and not only those of one service
        self._revive(self.part.broker or "")

    def _do_poison(self) -> None:
        self._thaw()
        self.add(f"lab poison unreadable {QUEUES[self.part.name]}")

    def _do_double(self, which: str | int) -> str | None:
        if not self._loads:
            return "no order was placed before."
        if isinstance(which, str) and which != "order-placed":
            return "a script can publish only OrderPlaced again."
        self._thaw()
        load = self._loads[which % len(self._loads)] if isinstance(which, int) else self._loads[0]
        self.add(f"lab redeliver again {load}")
        return None

    def _do_configure(self, name: str, faults: dict[str, Any]) -> None:
        lasting = {key: value for key, value in faults.items() if key != "expires_in"}  # the end heals it
        self._set(name, " ".join(f"{key}={value}" for key, value in lasting.items()))

    def _do_crash(self, name: str, effect: str, doing: str = "") -> str | None:
        if "-" in name:
            return "a second process of a service is not started by a script."
        if effect == "wait":
            return "a real service cannot be killed in the middle of a wait."
        if effect in CRASH_POINTS and doing != START:
            self._set(name, f"crash_point={CRASH_POINTS[effect]}")
        else:
            self.add(f"lab kill {name}")
            self._revive(name)
        return None

    def _do_cut(self, name: str, skipped: int | str, cut: str = "") -> str | None:
        if self.part.broker or not isinstance(skipped, int) or skipped >= len(CALLED):
            return "a connection cannot be cut at this moment from outside."
        if cut == "refused":
            self._do_kill(CALLED[skipped])
            return None
        self._set(CALLED[skipped], CALLS[cut])
        if CALLS[cut] == LATE["answers"]:
            self._set(name, LATE["order"])
        return None

    def _do_freeze(self, name: str, effect: str, _others: int, seconds: float) -> str | None:
        """What stands still for so long is an answer that comes too late, or a consumer that was taken for dead."""
        if seconds < SESSION_SECONDS and (self.part.broker or name == "order"):
            return "a real service cannot be made to stand still at an effect."
        if self.part.broker:
            return self._do_crash(name, effect)
        self._set(name if name in CALLED else CALLED[0], LATE["answers"])
        self._set("order", LATE["order"])
        return None

    def _do_hold(self, name: str, effect: str, others: int, seconds: float) -> str | None:
        return None if self._meets else self._do_freeze(name, effect, others, seconds)

    def _set(self, name: str, settings: str) -> None:
        self._configured[name] = settings
        self.add(f"lab configure {name} {settings}")
