"""One order: the messages that its services recorded, or, where they recorded none, what follows from its timeline.

With TRACE_ORDERS services record the first orders after each quiet second, and every order that a fault touches. Of
another order only the times of its states are known, and requests that are in a log. An arrow from the broker then
stands at the time at which its work was committed.
"""

import time
from collections.abc import Iterable, Sequence
from typing import Any

from lab import client
from lab.errors import LabError
from lab.live.lists import seconds
from lab.runtime import lifecycle
from lab.services import Service, by_kind, services_of
from lab.trace import collect, diagram, one_order
from lab.trace.collect import Line
from lab.trace.entries import Entry
from lab.trace.logs import of_order
from lab.trace.one_order import Kill

GAP_SECONDS = 1.0
BROKERS = {"async-rabbitmq": "rabbitmq", "streaming-kafka": "kafka"}
LOG_LINES = 100_000  # of each service: the last ones
Step = dict[str, Any]
Row = dict[str, Any]


def find(order_id: str, runtime: lifecycle.Runtime, kills: dict[str, list[Kill]]) -> Row:
    """Return everything that is known of an order of the parts that are up.

    `kills` holds for each of these parts which services were killed, in seconds since 1970. Raises LabError when no
    part has the order.
    """
    for part, killed in kills.items():
        services = services_of(part)
        order = _get(f"{by_kind(services)['order'].url}/orders/{order_id}")
        if order is not None:
            return _all_of(part, services, order, runtime, killed)
    raise LabError(f"no part that is up has an order {order_id}", "copy an id from the lanes, or from ./lab order")


def _all_of(part: str, services: dict[str, Service], order: Row, runtime: lifecycle.Runtime, kills: list[Kill]) -> Row:
    order_id, kinds = order["order_id"], by_kind(services)
    reservation = _get(f"{kinds['inventory'].url}/reservations/{order_id}")
    sent = _get(f"{kinds['notification'].url}/notifications?order_id={order_id}")
    logs = {name: runtime.logs(service, LOG_LINES) for name, service in services.items() if not service.is_broker}
    lines = [line for line in of_order(logs, order_id) if line.get("method") != "GET"]  # a look is no part of it
    traced = {name: "\n".join(line for line in log.splitlines() if order_id in line) for name, log in logs.items()}
    recorded = collect.collect(services, lambda service: traced[service.name], time.monotonic() - time.time())
    notifications = (sent or {"notifications": []})["notifications"]
    shape = {"part": part, "order": order, "reservation": reservation, "notifications": notifications}
    return shape | {"log": lines} | drawn(shape, recorded, kills, lines)


def drawn(shape: Row, recorded: Iterable[Line], kills: Iterable[Kill], lines: Sequence[Row] = ()) -> Row:
    """Return the lanes and the steps of an order, and whether its services recorded them."""
    found = [line for line in recorded if line["order_id"] == shape["order"]["order_id"]]
    lanes = {"client", "order", "inventory", "notification", BROKERS.get(shape["part"], "order")}
    whole = any(line["service"].startswith("order") for line in found)
    entries = one_order.entries(found, kills) if whole else []
    lanes |= {lane for entry in entries for lane in (entry.source, entry.target) if lane}
    steps = _with_gaps([_step(entry, entries[0].at) for entry in entries]) or sequence(**shape, lines=lines)
    known = [lane for lane in diagram.ORDER_OF_LANES if lane in lanes]
    actors = known + sorted(lanes - set(known))
    return {"actors": actors, "steps": steps, "recorded": whole}


def _step(entry: Entry, zero: float) -> Step:
    alone = "commit" if entry.kind == "commit" else "trouble"
    kind = ("reply" if entry.kind in diagram.BACK else "message") if entry.target else alone
    step = {"at": round(1000 * (entry.at - zero), 3), "kind": kind, "text": diagram.label(entry)}
    step |= {"from": entry.source, "to": entry.target or entry.source}
    flags = {"again": entry.again, "lost": entry.lost, "crash": entry.kind == "crash"}
    return step | {name: True for name, is_so in flags.items() if is_so}


def _get(url: str) -> Any:
    answer = client.try_get(url, timeout=2.0)
    return answer.json() if answer is not None and answer.status_code == 200 else None


def sequence(
    part: str, order: Row, reservation: Row | None, notifications: list[Row], lines: Sequence[Row]
) -> list[Step]:
    """Return the steps of an order, `{at, kind, from, to, text}` in order of time; `at` in ms since the first."""
    zero = seconds(order["timeline"][0]["at"])

    def step(at: float, kind: str, begin: str, end: str, text: str) -> Step:
        return {"at": round(1000 * (at - zero), 3), "kind": kind, "from": begin, "to": end, "text": text}

    steps = [step(zero, "commit", "order", "order", "placed")]
    caller = {"/order": "client", "/reserve": "order", "/release": "order", "/send": "order"}
    for line in lines:
        path = line.get("path")
        if path in caller:
            ended = seconds(line["at"])
            steps.append(step(ended - line["ms"] / 1000, "message", caller[path], line["of"], f"POST {path}"))
            steps.append(step(ended, "reply", line["of"], caller[path], str(line["status"])))
        elif "why" in line:
            steps.append(step(seconds(line["at"]), "trouble", line["of"], line["of"], line["message"]))
    broker = BROKERS.get(part)
    if reservation is not None:
        at, text = seconds(reservation["at"]), f"commit: {reservation['status']}"
        if broker:
            steps.append(step(at, "message", "order", broker, "OrderPlaced"))
            steps.append(step(at, "message", broker, "inventory", "OrderPlaced"))
        steps.append(step(at, "commit", "inventory", "inventory", text))
    for notification in notifications:
        at = seconds(notification["at"])
        if broker:
            steps.append(step(at, "message", "inventory", broker, "InventoryReserved"))
            steps.append(step(at, "message", broker, "notification", "InventoryReserved"))
        steps.append(step(at, "commit", "notification", "notification", "commit: notified"))
    if order["status"] == "failed":
        last = order["timeline"][-1]
        steps.append(step(seconds(last["at"]), "commit", "order", "order", f"failed: {order.get('reason', '')}"))
    steps.sort(key=lambda each: each["at"])
    began = min(0.0, steps[0]["at"])  # the request came a little before its order was placed
    return _with_gaps([each | {"at": round(each["at"] - began, 3)} for each in steps])


def _with_gaps(steps: list[Step]) -> list[Step]:
    found: list[Step] = []
    for each in steps:
        if found and each["at"] - found[-1]["at"] >= 1000 * GAP_SECONDS:
            waited = (each["at"] - found[-1]["at"]) / 1000
            found.append({"at": found[-1]["at"], "kind": "gap", "from": "", "to": "", "text": f"{waited:.1f} s pass"})
        found.append(each)
    return found
