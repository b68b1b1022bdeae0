"""The documents of Part C: valid, up to date, and true of requests that are drawn from them."""

import importlib
import json
from collections.abc import Iterable, Iterator

import producer_order.app
import pytest
from campus.events import Event
from campus.lifecycle import Part
from flask import Flask
from testing import contract

LINE = {"sku": "burger", "qty": 1}
ORDERS = [{"user_id": "u1", "items": [LINE]}, {"item": "burger", "qty": 1}]
BODIES = {
    "producer_order": {
        "/order": ORDERS,
        "/orders/bulk": [ORDERS, {"count": 2}, {"count": 2, "item": "soda", "qty": 1}],
    },
    "inventory_consumer": {"/stock": [{"sku": "burger", "add": 1}]},
    "notification_consumer": {},
    "analytics_consumer": {},
}
HELD = {"order": ["/orders"], "inventory": ["/stock"], "notification": ["/notifications"], "analytics": []}


class FakeProducer(Part):
    """Acknowledges every event, and counts them."""

    count = 0

    def __init__(self, _bootstrap: str) -> None: ...

    def publish(self, events: Iterable[Event]) -> list[str | None]:
        told = [None for _ in events]
        FakeProducer.count += len(told)
        return told


@pytest.fixture(params=BODIES)
def app(request, tmp_path, monkeypatch) -> Iterator[Flask]:
    """Each of the four services in turn, without Kafka."""
    monkeypatch.setattr(producer_order.app, "Producer", FakeProducer)
    env = {"DATABASE_URL": f"sqlite:///{tmp_path}/db", "INITIAL_STOCK": json.dumps({"burger": 5})}
    made = importlib.import_module(f"{request.param}.app").create_app(env)
    made.package = request.param
    yield made
    made.extensions["campus"].stop()


def test_the_committed_documents_are_valid_and_what_the_code_says():
    contract.check_documents("streaming-kafka")


def test_each_request_is_checked_with_the_schemas_that_the_document_names(app, monkeypatch):
    contract.check_schemas(app, BODIES[app.package], monkeypatch)


@contract.FEW_AND_MANY
def test_drawn_requests_are_answered_and_what_is_refused_is_not_stored(app, count):
    def memory() -> list:
        return [app.test_client().get(path).json for path in (*HELD[app.name], "/configure")] + [FakeProducer.count]

    contract.check_requests(app, memory, count)
