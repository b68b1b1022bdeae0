"""The three services as real processes on one broker, and what a client does with them."""

import contextlib
import json
from pathlib import Path

import urllib3
from node import RabbitMQ
from testing import Service, wait_until
from testing.services import Services

PART = Path(__file__).resolve().parents[1]
NAMES = ("order", "inventory", "notification")


class Chain(Services):
    """The three services on one broker, and what a client does with them."""

    def __init__(self, folder: Path, node: RabbitMQ, databases: dict[str, str] | None = None, **env: str) -> None:
        self.node = node
        own = {name: {"DATABASE_URL": url} for name, url in (databases or {}).items()}
        self.order, self.inventory, self.notification = self.services = tuple(
            Service(PART, name, folder, RABBITMQ_URL=node.url, **env, **own.get(name, {})) for name in NAMES
        )

    def place(self, sku: str = "burger", qty: int = 1, **headers: str) -> str:
        """Place an order, which must be accepted, and return its id."""
        response = self.order.call("POST", "/order", {"item": sku, "qty": qty, "user_id": "u1"}, **headers)
        assert response.status == 202
        return response.json()["order_id"]

    def try_to_place(self) -> str | None:
        """Place an order and return its id, or None when there is no answer."""
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            return self.place()
        return None

    def listed(self, service: Service, path: str) -> list[dict]:
        """Return all that a service lists there."""
        rows, after = [], ""
        while after is not None:
            page = service.call("GET", f"/{path}?limit=1000&after={after}").json()
            rows += page[path]
            after = page["next"]
        return rows

    def is_settled(self) -> bool:
        """Whether every order is in its final state."""
        pages = [self.order.call("GET", f"/orders?limit=1&status={status}").json() for status in ("placed", "reserved")]
        return pages[0]["orders"] == pages[1]["orders"] == []

    def check(self) -> None:
        """Every order came to one end, its reservation and its notification agree with it, and so does stock."""
        wait_until(self.is_settled, 60)
        orders = {row["order_id"]: row["status"] for row in self.listed(self.order, "orders")}
        notified = sorted(order_id for order_id, status in orders.items() if status == "notified")
        reservations = self.listed(self.inventory, "reservations")
        assert sorted(row["order_id"] for row in reservations if row["status"] == "reserved") == notified
        assert sorted(row["order_id"] for row in self.listed(self.notification, "notifications")) == notified
        assert {row["order_id"] for row in reservations} <= set(orders)
        held: dict[str, int] = {}
        for line in (line for row in reservations if row["status"] == "reserved" for line in row["items"]):
            held[line["sku"]] = held.get(line["sku"], 0) + line["qty"]
        for sku, level in self.inventory.call("GET", "/stock").json()["stock"].items():
            assert level == {
                "initial": level["initial"],
                "on_hand": level["initial"] - held.get(sku, 0),
                "reserved": held.get(sku, 0),
            }

    def metric(self, service: Service, name: str) -> float:
        """Return one number of GET /metrics."""
        lines = service.call("GET", "/metrics").data.decode().splitlines()
        return sum(float(line.rpartition(" ")[2]) for line in lines if line.startswith(f"{name} "))

    def depth(self) -> float:
        """Return how many events wait in the outbox."""
        return self.metric(self.order, "outbox_depth")

    def why(self, service: Service) -> str:
        """Return what a service says that it lacks: nothing, when it is ready."""
        response = service.call("GET", "/ready")
        assert response.status in (200, 503)
        return "" if response.status == 200 else json.dumps(response.json()["checks"])

    def try_why(self, service: Service) -> str:
        """Return what a service lacks, or nothing when it does not answer."""
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            return self.why(service)
        return ""

    def has_crashed(self, service: Service) -> bool:
        """Whether a service that was told to crash has forgotten that it was."""
        with contextlib.suppress(urllib3.exceptions.HTTPError):
            return service.call("GET", "/configure").json()["config"]["crash_point"] is None
        return False
