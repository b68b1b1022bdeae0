"""Raw files made by hand: what clients and services would have written, changed at will before it is judged."""

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from campus.metrics import metrics
from lab.analysis import latency
from lab.checker.predictions import Run as RunView
from lab.history.model import HISTORY, STATE, Run, write_lines

BEGAN = datetime.fromisoformat("2026-01-31T12:00:00+00:00")
HEAD = {
    "experiment": "a0_made",
    "part": "sync-rest",
    "title": "A0: made by hand",
    "about": {"Shows": "Nothing.", "Why": "To test.", "Not shown": "The rest.", "Takes": "0 s"},
    "quick": False,
    "began_at": BEGAN.isoformat(),
    "environment": {
        "commit": "none",
        "runtime": "local",
        "cores": 2,
        "memory_gib": 4,
        "system": "Linux",
        "versions": {"Python": "3"},
    },
}
RESULT = {"201": "ok", "202": "ok", "409": "fail", "502": "fail", "refused": "fail", "504": "info", "reset": "info"}


def utc(second: float) -> str:
    """Return a service's time stamp for a second of the run."""
    return (BEGAN + timedelta(seconds=second)).isoformat().replace("+00:00", "Z")


def items(qty: int = 1, sku: str = "burger") -> list[dict[str, Any]]:
    """Return the items of an order of one line."""
    return [{"sku": sku, "qty": qty}]


@dataclass
class Raw:
    """The lines of a history and of a state, in the making."""

    events: list[dict[str, Any]] = field(default_factory=list)
    state: list[dict[str, Any]] = field(default_factory=list)

    def add(self, type_: str, at: float, **more: Any) -> None:
        """Add an event of any type."""
        self.events.append({"at": at, "type": type_, **more})

    def sends(self, op: str, at: float, what: list[dict[str, Any]], late: float = 0.0) -> None:
        """A client sends an order, so late after it was meant to."""
        self.add("invoke", at, op=op, phase=op.split("-")[0], intended=at - late, items=what)

    def sees(self, op: str, at: float, kind: str, order_id: str | None = None) -> None:
        """The client has its answer."""
        self.add(RESULT[kind], at, op=op, kind=kind, **({"order_id": order_id} if order_id else {}))

    def load(self, phase: str, at: float, until: float) -> None:
        """A load of this name ran."""
        self.add("phase", at, phase=phase, params={"loop": "open", "rate": 1, "seconds": until - at}, until=until)

    def fault(self, verb: str, service: str, at: float, **value: Any) -> None:
        """Something was done to a service."""
        self.add("fault", at, verb=verb, service=service, value=value)

    def order(self, order_id: str, user: str, what: list[dict[str, Any]], *steps: tuple[float, str]) -> None:
        """The order service holds an order that took these steps."""
        timeline = [{"status": status, "at": utc(at)} for at, status in steps]
        reason = {"reason": "injected"} if steps[-1][1] == "failed" else {}
        self.state.append(
            {
                "what": "order",
                "order_id": order_id,
                "user_id": user,
                "items": what,
                "status": steps[-1][1],
                "timeline": timeline,
                **reason,
            }
        )

    def reservation(self, order_id: str, status: str, at: float, what: list[dict[str, Any]]) -> None:
        """Inventory holds a reservation; stock is not touched."""
        self.state.append({"what": "reservation", "order_id": order_id, "status": status, "at": utc(at), "items": what})

    def notification(self, order_id: str, user: str, at: float) -> None:
        """The notification service sent this."""
        self.state.append({"what": "notification", "order_id": order_id, "user_id": user, "at": utc(at)})

    def stock(self, sku: str, initial: int, on_hand: int) -> None:
        """Inventory holds so much of a sku."""
        self.state.append({"what": "stock", "sku": sku, "initial": initial, "on_hand": on_hand})

    def find(self, what: str, name: str) -> dict[str, Any]:
        """Return the one line of the state for an order id or a sku."""
        [line] = [s for s in self.state if s["what"] == what and name in (s.get("order_id"), s.get("sku"))]
        return line

    def remove(self, what: str, name: str) -> None:
        """Take that line out of the state."""
        self.state.remove(self.find(what, name))

    def moves(self, qty: int, sku: str = "burger") -> None:
        """Put so many on hand: fewer, if negative."""
        self.find("stock", sku)["on_hand"] += qty

    def run(self) -> Run:
        """Return it as a run that was read."""
        return Run(HEAD, sorted(self.events, key=lambda e: e["at"]), self.state)

    def write(self, folder: Path) -> Path:
        """Write the raw files and return their folder."""
        folder.mkdir(parents=True, exist_ok=True)
        write_lines(folder / HISTORY, [HEAD, *sorted(self.events, key=lambda e: e["at"])])
        write_lines(folder / STATE, self.state)
        return folder


def good() -> Raw:
    """Return a run that keeps every promise.

    Order `o0` was done, `o1` refused, `o2` timed out and was released, `o3` was done though its reply was lost, and
    the request `a-4` met a closed port. 7 of 10 burgers are left.
    """
    raw = Raw()
    raw.load("a", 1.0, 6.0)
    raw.sends("a-0", 1.0, items(2))
    raw.sees("a-0", 1.1, "201", "o0")
    raw.order("o0", "a-0", items(2), (1.01, "placed"), (1.02, "reserved"), (1.03, "notified"))
    raw.reservation("o0", "reserved", 1.015, items(2))
    raw.notification("o0", "a-0", 1.025)
    raw.sends("a-1", 2.0, items(50))
    raw.sees("a-1", 2.1, "409", "o1")
    raw.order("o1", "a-1", items(50), (2.01, "placed"), (2.02, "failed"))
    raw.reservation("o1", "failed", 2.015, items(50))
    raw.sends("a-2", 3.0, items(1, "soda"))
    raw.fault("pause", "inventory", 3.005)
    raw.sees("a-2", 3.5, "504", "o2")
    raw.fault("unpause", "inventory", 3.6)
    raw.order("o2", "a-2", items(1, "soda"), (3.01, "placed"), (3.4, "unknown"), (3.7, "failed"))
    raw.reservation("o2", "released", 3.65, items(1, "soda"))
    raw.sends("a-3", 4.0, items(1))
    raw.sees("a-3", 4.2, "reset")
    raw.order("o3", "a-3", items(1), (4.01, "placed"), (4.02, "reserved"), (4.5, "notified"))
    raw.reservation("o3", "reserved", 4.015, items(1))
    raw.notification("o3", "a-3", 4.45)
    raw.sends("a-4", 5.0, items(1))
    raw.sees("a-4", 5.001, "refused")
    raw.stock("burger", 10, 7)
    raw.stock("soda", 10, 10)
    raw.add("settled", 6.0, done=True, took=0.1)
    return raw


def accepted() -> Raw:
    """Return a run of orders that were accepted (202) and done later, while inventory was killed from 1.5 s to 5.5 s.

    `o0` was done at once, `o1` to `o3` afterwards, `o4` was accepted and failed. One message of three published as
    `bad` lies in the dead-letter queue with its reason, one without, and one twice.
    """
    raw = Raw()
    raw.load("a", 1.0, 6.0)
    raw.fault("kill", "inventory", 1.5)
    raw.fault("start", "inventory", 5.5)
    ends = ((1.02, 1.2), (6.0, 6.6), (6.0, 7.0), (6.9, 8.0))
    for n, (reserved, notified) in enumerate(ends):
        at, user = n + 1.0, f"a-{n}"
        raw.sends(user, at, items())
        raw.sees(user, at + 0.02, "202", f"o{n}")
        raw.order(f"o{n}", user, items(), (at + 0.01, "placed"), (reserved, "reserved"), (notified, "notified"))
        raw.reservation(f"o{n}", "reserved", reserved, items())
        raw.notification(f"o{n}", user, notified)
    raw.sends("a-4", 5.0, items(50))
    raw.sees("a-4", 5.02, "202", "o4")
    raw.order("o4", "a-4", items(50), (5.01, "placed"), (7.0, "failed"))
    raw.reservation("o4", "failed", 7.0, items(50))
    raw.stock("burger", 10, 6)
    for at, queue, ready in ((2.5, "order-placed", 0), (2.5, "outbox", 1), (3.5, "outbox", 2), (4.0, "order-placed", 3),
                             (4.0, "outbox", 0)):  # fmt: skip
        raw.add("depth", at, queue=queue, ready=ready)
    for name, kind, reason, times in (
        ("m0", "empty", "no JSON", 1),
        ("m1", "cut off", "no JSON", 2),
        ("m2", "odd", "", 0),
    ):
        raw.add("published", 3.0, name="bad", queue="order-placed", kind=kind, message_id=name, body="")
        for _ in range(times):
            raw.state.append({"what": "dead", "queue": "order-placed", "message_id": name, "reason": reason})
    for name, rows, done in (("one", [{"order_id": "o0"}], 10), ("two", [{"order_id": "o1"}], 15)):
        raw.add("snapshot", 8.0, name=name, rows=rows, handled={"order-placed": done})
    raw.add("settled", 9.0, done=True, took=0.1)
    return raw


def streamed() -> Raw:
    """Return the run of `accepted` over a log, with samples of the lag, a lag table, and reports around a replay."""
    raw = accepted()
    raw.events = [e for e in raw.events if e["type"] not in ("depth", "published", "snapshot")]
    raw.state = [line for line in raw.state if line["what"] != "dead"]
    for at, partition, lag in (
        (1.0, 0, 0),
        (1.0, 1, 0),
        (3.0, 0, 2),
        (4.0, 1, 1),
        (5.0, 0, 3),
        (7.0, 0, 0),
        (7.0, 1, 0),
    ):
        raw.add("lag", at, **_of_partition(partition), current=10, end=10 + lag, lag=lag)
    rows = [_of_partition(0) | {"client": "c1"}, _of_partition(1) | {"client": ""}]
    figures = {"current": None, "end": 12, "lag": 2, "lag_seconds": 1.5, "state": "WARN"}
    raw.add("lag table", 3.5, name="late", rows=[row | figures for row in rows])
    report = metrics({"2026-01-31T12:00": 5}, 5, 1, now=0)
    for name, told in (("before replay", report), ("after replay", report), ("lost", metrics({}, 4, 1, now=0))):
        raw.add("report", 8.5, name=name, report=told)
    raw.add("replay", 8.6, group="analytics-consumer-group", to="earliest", partitions=2, took=1.0)
    raw.state.append({"what": "report", **report})
    return raw


def refused(raw: Raw, kind: str) -> None:
    """Add an order that the order service refused and stored, and did not publish; its client got this answer last."""
    raw.sends("a-5", 5.2, items())
    raw.sees("a-5", 5.21, kind)
    raw.order("o5", "a-5", items(), (5.205, "placed"), (5.205, "failed"))


def _of_partition(number: int) -> dict[str, Any]:
    return {"group": "inventory-consumer-group", "topic": "order-events", "partition": number}


def asked(raw: Raw, question: str) -> float:
    """Return what a prediction that asks `run` this is told; NaN where the run does not say."""
    run = raw.run()
    return eval(question, {"run": RunView(run, latency.of_phases(run))})


Change = Callable[[Raw], None]
