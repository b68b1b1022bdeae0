"""What the services recorded of some orders: from their logs into a run, and into a diagram."""

import json
import uuid

import pytest
from lab.history.model import TRACE, read
from lab.paths import RESULTS
from lab.services import services_of
from lab.trace import collect
from lab.trace.logs import of_order
from lab.trace.one_order import entries


def logged(ns: int, kind: str, order: str, what: str = "", **more) -> str:
    return json.dumps({"at": "…", "trace": kind, "monotonic_ns": ns, "order_id": order, "what": what, **more})


@pytest.fixture
def lines():
    """An order of Part A whose first call got no answer, as its services logged it."""
    inventory, order = services_of("sync-rest")["inventory"], services_of("sync-rest")["order"]
    logs = {
        order.name: [
            logged(3_000_000_000, "commit", "o1", "placed"),
            logged(3_100_000_000, "call", "o1", "POST /reserve", to=inventory.url),
            logged(4_100_000_000, "fault", "o1", "POST /reserve: no answer", by=inventory.url, touched=True),
            logged(4_200_000_000, "request", "o1", "POST /order", status=504, seconds=1.25, touched=True),
            logged(5_000_000_000, "call", "o1", "POST /release", to=inventory.url),
            '{"at": "…", "message": "request", "order_id": "o1"}',
            logged(6_000_000_000, "call", "o1", "POST")[:40],
        ],
        inventory.name: [logged(5_100_000_000, "request", "o1", "POST /release", status=200, seconds=0.01)],
    }
    return collect.collect(services_of("sync-rest"), lambda s: "\n".join(logs.get(s.name, [])), began=2.0)


def test_lines_come_in_order_of_time_and_name_their_services(lines):
    assert [(line["at"], line["service"], line["kind"]) for line in lines] == [
        (1.0, "order", "commit"), (1.1, "order", "call"), (2.1, "order", "fault"), (2.2, "order", "request"),
        (3.0, "order", "call"), (3.1, "inventory", "request"),
    ]  # fmt: skip
    assert {line["to"] for line in lines if line["kind"] == "call"} == {"inventory"}


def test_the_entries_of_an_order(lines):
    kills = [("inventory", 2.5), ("notification", 2.5), ("inventory", 9.0)]
    assert [(round(e.at, 2), e.kind, e.source, e.target, e.text) for e in entries(lines, kills)] == [
        (0.95, "call", "client", "order", "POST /order"),
        (1.0, "commit", "order", None, "placed"),
        (1.1, "call", "order", "inventory", "POST /reserve"),
        (2.1, "fault", "order", None, "POST /reserve: no answer"),
        (2.2, "reply", "order", "client", "504 after 1.2 s"),
        (2.5, "crash", "inventory", None, "killed"),
        (3.0, "call", "order", "inventory", "POST /release"),
        (3.1, "reply", "inventory", "order", "200"),
    ]


def test_the_logs_of_all_services_are_joined_by_the_request():
    def said(at: str, **fields: str) -> str:
        return json.dumps({"at": at} | fields)

    logs = {
        "order": "\n".join(
            [said("2", order_id="o1", request_id="r1"), said("1", order_id="o2", request_id="r2"), "{o1"]
        ),
        "inventory": "\n".join([said("3", request_id="r1", message="no"), said("4", message="about o1")]),
    }
    joined = [(line["at"], line["of"]) for line in of_order(logs, "o1")]
    assert joined == [("2", "order"), ("3", "inventory")]
    assert of_order(logs, "o3") == []


def line(order: str, service: str, kind: str, what: str = "", **more) -> dict:
    return {"at": 1.0, "service": service, "kind": kind, "order_id": order, "what": what, **more}


def test_what_is_delivered_again_is_a_disturbance():
    once = line("o1", "inventory", "delivery", "order-placed", by="rabbitmq", event_id="e1")
    other = once | {"event_id": "e2"}
    assert not collect.is_disturbed([once, other])
    assert collect.is_disturbed([once, other, once])
    assert [entry.again for entry in entries([once, other, once])] == [False, False, True]


def test_a_confirmation_that_does_not_come_is_lost():
    (entry,) = entries([line("o1", "order", "confirm", "not confirmed in time", by="rabbitmq", touched=True)])
    assert (entry.source, entry.target, entry.lost) == ("rabbitmq", "order", True)


def test_the_first_of_each_load_and_the_disturbed_are_kept():
    ordinary = [line(f"o{n}", "order", "commit") for n in range(50)]
    elsewhere = [line("x", "inventory", "commit")]
    touched = [line("f", "inventory", "fault", "it failed", touched=True)]
    placed = {
        "warm": [f"o{n}" for n in range(10)],
        "load": [*map(str, range(9)), "x", *(f"o{n}" for n in range(10, 50))],
    }
    kept = collect.fit([*ordinary, *elsewhere, *touched], placed)
    assert {n["order_id"] for n in kept} == {f"o{n}" for n in range(10 + collect.FIRST)} | {"f"}


def test_what_is_kept_is_small():
    many = [line(str(uuid.uuid4()), "order", "fault", str(uuid.uuid4()), touched=True) for n in range(2_000)]
    kept = collect.fit(many, {})
    assert 100 < len(kept) < len(many)
    assert collect._size(kept) <= collect.MAX_BYTES


@pytest.mark.parametrize("folder", sorted(RESULTS.glob("*/[abc][0-9]_*")), ids=lambda folder: folder.name)
def test_each_committed_run_shows_an_order_from_the_client_to_the_notification(folder):
    recorded = read(folder).trace
    assert (folder / TRACE).stat().st_size <= 1.1 * collect.MAX_BYTES
    whole = {"order", "inventory", "notification"}
    orders = {n["order_id"] for n in recorded}
    assert any(whole <= {n["service"] for n in recorded if n["order_id"] == order} for order in orders)
