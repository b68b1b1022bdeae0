"""A load of one request: many orders in one go, whose outcomes come back together."""

import contextlib
from collections.abc import Callable, Iterator
from typing import Any

from campus.orders import drawn

from lab import client
from lab.errors import LabError
from lab.load.generator import DEFINITELY_NOT, OK, Plan

Line = dict[str, Any]


def run(plan: Plan, url: str, now: Callable[[], float]) -> tuple[Iterator[Line], float, float]:
    """Send the request and return (its lines for the history, when it was sent, when the reply came)."""
    began, status, told = now(), None, {}
    with contextlib.suppress(LabError):  # there was no reply
        wanted = {"count": plan.count, "seed": plan.seed}
        reply = client.call("POST", f"{url}/orders/bulk", json=wanted, timeout=plan.timeout)
        status, told = reply.status_code, reply.json() if reply.status_code in OK else {}
    ended = now()
    return _lines(plan, began, ended, status, told), began, ended


def _lines(plan: Plan, began: float, ended: float, status: int | None, told: dict[str, Any]) -> Iterator[Line]:
    ops, at = [], round(began, 6)
    for op, items in drawn(plan.count, plan.seed):
        ops.append(op)
        yield {"at": at, "type": "invoke", "phase": plan.phase, "intended": at, "op": op, "items": items}
    at, ids, unknown = round(ended, 6), told.get("order_ids", []), set(told.get("unknown", ()))
    for op, order_id in zip(ops, ids, strict=False):
        result, kind = ("info", "not acknowledged") if order_id in unknown else ("ok", str(status))
        yield {"at": at, "type": result, "op": op, "kind": kind, "order_id": order_id}
    for op in ops[len(ids) :]:  # as far as the client can know
        result = "fail" if told or status in DEFINITELY_NOT else "info"
        kind = "not sent" if told else str(status or "reset")
        yield {"at": at, "type": result, "op": op, "kind": kind}
