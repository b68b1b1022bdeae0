"""A load of one request: many orders in one go, whose outcomes come back together."""

from collections.abc import Callable, Iterator
from typing import Any

from campus.orders import drawn

from lab import client
from lab.errors import LabError
from lab.load.generator import DEFINITELY_NOT, OK, Plan

Line = dict[str, Any]


def run(plan: Plan, url: str, now: Callable[[], float]) -> tuple[Iterator[Line], float, float]:
    """Send the request and return (its lines for the history, when it was sent, when the reply came)."""
    began = now()
    status, told = _send(f"{url}/orders/bulk", {"count": plan.count, "seed": plan.seed}, plan.timeout)
    ended = now()
    return _lines(plan, began, ended, status, told), began, ended


def _lines(plan: Plan, began: float, ended: float, status: int | None, told: dict[str, Any]) -> Iterator[Line]:
    ops, at = [], round(began, 6)
    for op, items in drawn(plan.count, plan.seed):
        ops.append(op)
        yield {"at": at, "type": "invoke", "phase": plan.phase, "intended": at, "op": op, "items": items}
    yield from _ends(ended, ops, status, told)


def _send(url: str, body: dict[str, int], seconds: float) -> tuple[int | None, dict[str, Any]]:
    """Return the reply's status, None when there was none, and the answer if it was a good one."""
    try:
        reply = client.call("POST", url, json=body, timeout=seconds)
    except LabError:
        return None, {}
    return reply.status_code, reply.json() if reply.status_code in OK else {}


def _ends(at: float, ops: list[str], status: int | None, told: dict[str, Any]) -> Iterator[Line]:
    """Yield how each order ended, as far as its client can know."""
    ids, unknown = told.get("order_ids", []), set(told.get("unknown", ()))
    for op, order_id in zip(ops, ids, strict=False):
        result, kind = ("info", "not acknowledged") if order_id in unknown else ("ok", str(status))
        yield {"at": round(at, 6), "type": result, "op": op, "kind": kind, "order_id": order_id}
    for op in ops[len(ids) :]:
        result = "fail" if told or status in DEFINITELY_NOT else "info"
        kind = "not sent" if told else str(status or "reset")
        yield {"at": round(at, 6), "type": result, "op": op, "kind": kind}
