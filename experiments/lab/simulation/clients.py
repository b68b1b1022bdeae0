"""The actions that every part has: clients that order, and what is done to processes, databases and time."""

from datetime import timedelta
from typing import Any

from lab.simulation.process import START, Arm
from lab.simulation.trace import CLIENT

_BEST = ("ok", "info", "fail")  # of several tries under one key, what the client may rely on


class Clients:
    """What clients did and saw in one run, as `lab.history.model` has it; and the common actions, as `do_KIND`."""

    def __init__(self, sim: Any) -> None:
        self._sim = sim  # the core.Simulation
        self.history: list[dict[str, Any]] = []
        self._orders = 0
        self._results: dict[str, str] = {}

    def record(self, type: str, **fields: Any) -> None:
        """Write an event of the history down."""
        self.history.append({"at": self._sim.clock.seconds, "type": type} | fields)

    @property
    def results(self) -> dict[str, str]:
        """What each order's client knows of it: ok, fail or info."""
        return self._results

    def do_order(self, sku: str, qty: int, key: str | None = None) -> None:
        """A client orders. Under a key, it orders the same again each time."""
        self._orders += 1
        self.order(f"key-{key}" if key else f"u{self._orders}", sku, qty, key)

    def do_twice(self, sku: str, qty: int, key: str) -> None:
        """A client orders, and the same again under the same key while the first request stands behind its commit."""
        self._sim.remaining.appendleft(["order", sku, qty, key])
        self._arm("order", Arm("hold", "commit:after", 1, 0.01, "POST /order"))
        self.do_order(sku, qty, key)

    def order(self, op: str, sku: str, qty: int, key: str | None = None) -> None:
        """Send one order, and note what its client knows then."""
        items = [{"sku": sku, "qty": qty}]
        if op not in self._results:
            self.record("invoke", op=op, phase="sim", intended=self._sim.clock.seconds, items=items)
            self._results[op] = ""
        process = self._sim.processes["order"]
        self._sim.trace.add("call", CLIENT, f"POST /order {qty} {sku}", to="order", about=op, lost=not process.works)
        if not process.alive:
            self._result(op, "fail", "refused")
        elif process.frozen:
            self._result(op, "info", "timeout")
        else:
            self._ask(op, {"user_id": op, "items": items}, key)

    def _ask(self, op: str, body: dict[str, Any], key: str | None) -> None:
        sim, process = self._sim, self._sim.processes["order"]
        headers = {"Idempotency-Key": key} if key else {}
        client = process.client
        reply = sim.run(process, "POST /order", lambda: client.post("/order", json=body, headers=headers), asked=True)
        if reply is None:
            self._result(op, "info", "reset")
        else:
            order_id = (reply.json or {}).get("order_id")
            known = "ok" if reply.status_code in (201, 202) else "info" if reply.status_code in (500, 504) else "fail"
            self._result(op, known, str(reply.status_code), order_id)
        sim.receive(process)

    def _result(self, op: str, known: str, kind: str, order_id: str | None = None) -> None:
        text = f"{kind} {order_id or ''}".strip()
        self._sim.trace.add("reply", "order", text, to=CLIENT, about=f"{op} {order_id or ''}", lost=known == "info")
        before = self._results[op]
        if not before or _BEST.index(known) <= _BEST.index(before):
            self._results[op] = known
            self.record(known, op=op, kind=kind, order_id=order_id)

    def do_step(self, name: str) -> None:
        """Each loop of a process does a round."""
        self._sim.step(self._sim.processes[name], force=True)

    def do_run(self, seconds: float) -> None:
        """Time passes, and every process works."""
        self._sim.trace.add("note", CLIENT, f"all work for {seconds:g} s")
        self._sim.all_work(seconds)

    def do_kill(self, name: str) -> None:
        """A process is killed and stays dead."""
        self._sim.kill(self._sim.processes[name])

    def do_start(self, name: str) -> None:
        """A process that is dead is started."""
        if not self._sim.processes[name].alive:
            self._sim.trace.add("note", name, "is started")
            self._sim.start(self._sim.processes[name])

    def do_crash(self, name: str, effect: str, doing: str | None = None) -> None:
        """A process is killed at its next effect of this name, in this work, and then started again.

        One that is to be killed while it starts, or is dead, is killed then.
        """
        if doing == START:
            self._sim.kill(self._sim.processes[name], restart=True)
        self._arm(name, Arm("crash", effect, doing=doing))

    def do_crash_at(self, number: int) -> None:
        """The process that comes to the effect of this number, counted from the beginning, is killed there."""
        self._sim.crash_at.add(number)

    def do_freeze(self, name: str, effect: str, others: int, seconds: float) -> None:
        """A process stands still, all of it, while the next actions are performed."""
        self._arm(name, Arm("freeze", effect, others, seconds))

    def do_hold(self, name: str, effect: str, others: int, seconds: float) -> None:
        """One thread of a process stands still while the next actions are performed."""
        self._arm(name, Arm("hold", effect, others, seconds))

    def _arm(self, name: str, arm: Arm) -> None:
        process = self._sim.processes[name]
        if (process.alive or arm.kind == "crash") and not any(
            (a.effect, a.doing) == (arm.effect, arm.doing) for a in process.arms
        ):
            process.arms.append(arm)

    def do_clock(self, hours: float) -> None:
        """The system's time is set; the seconds that services measure by the monotonic clock go on."""
        self._sim.trace.add("fault", CLIENT, f"the clock is set by {hours:+g} h")
        self._sim.clock.set_by += timedelta(hours=hours)

    def do_disk(self, name: str, fails: bool) -> None:
        """The database of a service can or cannot be written from now on."""
        service = name.partition("-")[0]
        self._sim.trace.add("fault", name, "its database fails" if fails else "its database works again")
        self._sim.disks[service].fails = fails

    def do_configure(self, name: str, faults: dict[str, Any]) -> None:
        """Faults are configured in a process by POST /configure; {} resets them."""
        process = self._sim.processes[name]
        if process.works:
            self._sim.trace.add("fault", name, f"POST /configure {faults}")
            client = process.client
            answer = client.post("/configure", json=faults) if faults else client.delete("/configure")
            process.memory["configured"] = bool(faults)
            if answer.status_code != 200:
                raise ValueError(f"{name} does not take {faults}: {answer.json}")
