"""Part C's benchmark: its goals are reached, missed, or unknown as the samples say; a service's figures are read."""

from types import SimpleNamespace

import pytest
from benchmarks import orders as bench_orders
from benchmarks import report_c
from lab.errors import LabError

LOST = 7


def closed(name: str, clients: int) -> dict:
    times = {"p50": 0.001, "p95": 0.002, "p99": 0.003, "max": 0.004}
    return {"what": "closed", "name": name, "clients": clients, "rate": 900.0, "bad": 0, "round": 0, **times}


def bulk(size: str, orders: int, name: str, seconds: float) -> dict:
    sample = {"what": "bulk", "size": size, "round": 0, "name": name, "orders": orders, "acknowledged": orders}
    return sample | {"seconds": seconds} | ({} if name == "service" else {"client": f"{name} 1.0"})


def good() -> list[dict]:
    """Return samples that reach every goal."""
    bulks, drains = {"service": 1.2, "kafka-python": 1.0, "confluent-kafka": 0.1}, {"service": 2.0, "commit": 1.0}
    return [
        *(bulk("small", 10_000, name, seconds) for name, seconds in bulks.items()),
        *(bulk("large", 100_000, name, 10 * seconds) for name, seconds in bulks.items()),
        *(closed(name, clients) for clients in (1, 8, 16) for name in ("service", "alone")),
        *({"what": "drain", "name": name, "placed": 10_000, "events": 10_000, "seconds": seconds, "round": 0}
          for name, seconds in (drains | {"transaction": 1.5}).items()),
        {"what": "replay", "name": "service", "events": 98_000, "seconds": 3.0, "round": 0},
        {"what": "replay", "name": "read", "events": 100_000, "seconds": 1.0, "round": 0},
        {"what": "completion", "sent": 600, "notified": 600, "p50": 0.01, "p95": 0.02, "p99": 0.03, "max": 0.04}
        | {f"accept_{q}": 0.002 for q in ("p50", "p95", "p99", "max")},
        {"what": "memory", "service": "order", "mib": 110.0},
    ]  # fmt: skip


def verdicts(samples: list[dict]) -> list[str]:
    goals, sections = report_c.judge(samples)
    assert all(section.startswith("## ") for section in sections)
    return [goal["verdict"] for goal in goals]


def test_part_c_reaches_its_goals():
    assert verdicts(good()) == ["pass"] * 8


@pytest.mark.parametrize(
    ("which", "change", "missed"),
    [
        ({"what": "bulk", "size": "small"}, {"seconds": 1.26}, [0]),
        ({"what": "bulk", "size": "large"}, {"seconds": 12.6}, [1]),
        ({"what": "bulk", "size": "large"}, {"acknowledged": 99_999}, [LOST]),
        ({"what": "drain"}, {"seconds": 2.6}, [3]),
        ({"what": "drain"}, {"seconds": 2.9}, [2, 3]),
        ({"what": "drain"}, {"placed": 10_001}, [LOST]),
        ({"what": "replay"}, {"seconds": 3.3}, [4]),
        ({"what": "completion"}, {"p99": 0.101}, [5]),
        ({"what": "completion"}, {"notified": 599}, [LOST]),
        ({"what": "memory"}, {"mib": 171.0}, [6]),
        ({"what": "closed"}, {"bad": 1}, [LOST]),
    ],
)
def test_part_c_misses_a_goal(which, change, missed):
    which = {"name": "service"} | which
    samples = [s | change if which.items() <= ({"name": "service"} | s).items() else s for s in good()]
    assert [n for n, verdict in enumerate(verdicts(samples)) if verdict == "fail"] == missed


@pytest.mark.parametrize(
    ("which", "unknown"),
    [
        ({"what": "bulk"}, [0, 1, LOST]),
        ({"size": "large"}, [1, LOST]),
        ({"name": "kafka-python"}, [0, 1]),
        ({"what": "drain"}, [2, 3, LOST]),
        ({"name": "commit"}, [3]),
        ({"what": "replay"}, [4]),
        ({"what": "completion"}, [5, LOST]),
        ({"what": "memory"}, [6]),
        ({"what": "closed"}, [LOST]),
    ],
)
def test_what_was_not_measured_is_unknown(which, unknown):
    left = [s for s in good() if not which.items() <= s.items()]
    assert [n for n, verdict in enumerate(verdicts(left)) if verdict == "unknown"] == unknown
    assert "fail" not in verdicts(left)


@pytest.mark.parametrize(
    ("seconds", "verdict", "measured"),
    [((9.0, 1.1), "pass", "0.83 (rounds: 0.11–0.91)"), ((9.0, 8.0), "fail", "0.12 (rounds: 0.11–0.83)")],
)
def test_the_median_of_the_rounds_counts(seconds, verdict, measured):
    more = [bulk("small", 10_000, "service", s) | {"round": n} for n, s in enumerate(seconds, 1)]
    more += [bulk("small", 10_000, "kafka-python", 1.0) | {"round": n} for n in (1, 2)]
    goals, _ = report_c.judge(good() + more)
    assert (goals[0]["verdict"], goals[0]["measured"]) == (verdict, measured)


METRICS = """# HELP messages_total Messages by outcome
# TYPE messages_total counter
messages_total{group="g",outcome="dead_lettered"} 1.0
messages_total{group="g",outcome="done"} 42.0
# HELP outbox_depth Events that wait
outbox_depth 7.0
"""


def test_a_services_figures_are_read(monkeypatch):
    monkeypatch.setattr(bench_orders.client, "call", lambda *_: SimpleNamespace(text=METRICS))
    service = SimpleNamespace(url="http://x")
    assert bench_orders.done(service) == 42.0
    assert bench_orders.metric(service, "outbox_depth ") == 7.0
    assert bench_orders.metric(service, "unheard_of") == 0.0


def test_waiting_ends_with_a_plain_sentence(monkeypatch):
    monkeypatch.setattr(bench_orders, "SETTLE_SECONDS", 0.01)
    with pytest.raises(LabError, match="the backlog stays after"):
        bench_orders.wait("the backlog stays", lambda: False, every=0.001)
