"""Places one order, waits until it is final, and prints its timeline."""

import time
from typing import Any

import click

from lab import client
from lab.cli.output import show
from lab.errors import LabError

FINAL = ("notified", "failed")
WATCH_SECONDS = 30.0


def place_and_watch(url: str, body: dict[str, Any], key: str | None) -> int:
    """Place the order, print the reply and then the order's timeline; return 0 when it was notified, else 1."""
    headers = {"Idempotency-Key": key} if key else {}
    began = time.monotonic()
    reply = client.call("POST", f"{url}/order", json=body, headers=headers, timeout=65)
    took = time.monotonic() - began
    answer = reply.json()
    click.echo(f"POST /order → {reply.status_code} {reply.reason} after {1000 * took:.0f} ms")
    if "order_id" not in answer:
        problems = "; ".join(f"{e['field']}: {e['why']}" for e in answer.get("errors", []))
        raise LabError(f"{answer.get('detail', 'no order was placed')} {problems}".strip())
    if reply.status_code >= 400:
        click.echo(f"  {answer['detail']}")
    order = _follow(f"{url}/orders/{answer['order_id']}")
    _show(order)
    return 0 if order["status"] == "notified" else 1


def _follow(url: str) -> dict[str, Any]:
    deadline = time.monotonic() + WATCH_SECONDS
    order = client.call("GET", url).json()
    while order["status"] not in FINAL and time.monotonic() < deadline:
        time.sleep(0.1)
        order = client.call("GET", url).json()
    return order


def _show(order: dict[str, Any]) -> None:
    items = ", ".join(f"{line['qty']} {line['sku']}" for line in order["items"])
    reason = f": {order['reason']}" if "reason" in order else ""
    click.echo(f"order {order['order_id']} ({items}) {order['status']}{reason}")
    show(["at (UTC)", "status"], ((step["at"][11:-1], step["status"]) for step in order["timeline"]))
