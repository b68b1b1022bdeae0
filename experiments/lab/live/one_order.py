"""One order, from the services' own lists and logs: its timeline, and the sequence that follows from these times.

Only what a service said is drawn: a request that is in a log, a state with its time. Messages between a service and the
broker are not recorded, so an arrow from the broker stands at the time at which its work was committed.
"""

from typing import Any

from lab import client
from lab.errors import LabError
from lab.live.facts import seconds
from lab.live.service_log import lines_with
from lab.runtime import lifecycle
from lab.runtime.local import LocalRuntime
from lab.services import Service, by_kind, services_of

GAP_SECONDS = 1.0
BROKERS = {"async-rabbitmq": "RabbitMQ", "streaming-kafka": "Kafka"}
Step = dict[str, Any]
Row = dict[str, Any]


def find(parts: list[str], order_id: str, runtime: lifecycle.Runtime) -> Row:
    """Return everything that is known of an order. Raises LabError when no part that is up has it."""
    for part in parts:
        services = services_of(part)
        order = _get(f"{by_kind(services)['order'].url}/orders/{order_id}")
        if order is not None:
            return _all_of(part, services, order, runtime)
    raise LabError(f"no part that is up has an order {order_id}", "copy an id from the lanes, or from ./lab order")


def _all_of(part: str, services: dict[str, Service], order: Row, runtime: lifecycle.Runtime) -> Row:
    order_id, kinds = order["order_id"], by_kind(services)
    reservation = _get(f"{kinds['inventory'].url}/reservations/{order_id}")
    sent = _get(f"{kinds['notification'].url}/notifications?order_id={order_id}")
    lines = _log_lines(services, order_id, runtime)
    notifications = (sent or {"notifications": []})["notifications"]
    return {
        "part": part,
        "order": order,
        "reservation": reservation,
        "notifications": notifications,
        "log": lines,
        "actors": ["client", "order", *([BROKERS[part]] if part in BROKERS else []), "inventory", "notification"],
        "steps": sequence(part, order, reservation, notifications, lines),
    }


def _get(url: str) -> Any:
    answer = client.try_get(url, timeout=2.0)
    return answer.json() if answer is not None and answer.status_code == 200 else None


def _log_lines(services: dict[str, Service], order_id: str, runtime: lifecycle.Runtime) -> list[Row]:
    """Return the log lines of all services that carry the order's id or its request's id."""
    if not isinstance(runtime, LocalRuntime):
        return []
    logs = [(service.kind, runtime.log_file(service)) for service in services.values() if not service.is_broker]
    placed = (line for kind, log in logs if kind == "order" for line in lines_with(log, order_id))
    mine = [line for line in placed if line.get("path") == "/order"]
    request_id = mine[0]["request_id"] if mine else ""
    found = [line | {"of": name} for name, log in logs for line in lines_with(log, order_id, request_id)]
    asked = [line for line in found if line.get("method") != "GET"]  # a look at the order is no part of it
    return sorted(asked, key=lambda line: line["at"])


def sequence(part: str, order: Row, reservation: Row | None, notifications: list[Row], lines: list[Row]) -> list[Step]:
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
