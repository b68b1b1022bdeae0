"""A load of one request: what each of its orders is noted as."""

from types import SimpleNamespace

import pytest
from campus.orders import drawn
from lab import client
from lab.analysis import latency
from lab.errors import LabError
from lab.history import model as history
from lab.load import bulk
from lab.load.generator import Plan


def answering(monkeypatch, reply) -> list:
    """Let the order service answer so, or not at all; return what it is asked."""
    asked = []

    def call(method, url, *, json, timeout):
        asked.append((method, url, json))
        if reply is None:
            raise LabError("no answer")
        return SimpleNamespace(status_code=reply[0], json=lambda: reply[1])

    monkeypatch.setattr(client, "call", call)
    return asked


def drive(count: int = 4):
    times = iter((1.0, 3.0))
    lines, began, until = bulk.run(Plan("burst", bulk=True, count=count, seed=7), "http://order", lambda: next(times))
    return [*lines], began, until


def results(lines) -> list[tuple]:
    return [(e["type"], e["kind"], e.get("order_id")) for e in lines if e["type"] != "invoke"]


def test_every_order_of_an_acknowledged_request_is_done(monkeypatch):
    asked = answering(monkeypatch, (202, {"order_ids": ["o0", "o1", "o2", "o3"], "unknown": [], "not_sent": 0}))
    lines, began, until = drive()
    assert asked == [("POST", "http://order/orders/bulk", {"count": 4, "seed": 7})]
    assert results(lines) == [("ok", "202", f"o{n}") for n in range(4)]
    assert [(e["op"], e["items"]) for e in lines if e["type"] == "invoke"] == list(drawn(4, 7))
    phase = {"at": began, "type": "phase", "phase": "burst", "params": {}, "until": until}
    done = latency.of_phases(history.Run({}, [phase, *lines]))["burst"]
    assert (done["ok"], done["p50"], done["achieved"]) == (4, 2.0, 2.0)


def test_what_kafka_did_not_take_is_open_or_refused(monkeypatch):
    answering(monkeypatch, (202, {"order_ids": ["o0", "o1"], "unknown": ["o1"], "not_sent": 2}))
    lines, _, _ = drive()
    refused = ("fail", "not sent", None)
    assert results(lines) == [("ok", "202", "o0"), ("info", "not acknowledged", "o1"), refused, refused]


@pytest.mark.parametrize(
    ("reply", "expected"),
    [((503, {}), ("fail", "503", None)), ((500, {}), ("info", "500", None)), (None, ("info", "reset", None))],
)
def test_a_request_that_failed_failed_for_all(monkeypatch, reply, expected):
    answering(monkeypatch, reply)
    lines, _, _ = drive()
    assert results(lines) == [expected] * 4
