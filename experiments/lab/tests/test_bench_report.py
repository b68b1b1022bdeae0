"""The benchmarks' reports: made from the samples alone, the same bytes each time, and no pass without a measurement."""

import json
import shutil

import pytest
from benchmarks import report
from benchmarks.report import Samples
from lab.history import model as history
from lab.history.model import SAMPLES
from lab.paths import RESULTS

COMMITTED = sorted(file.parent for file in RESULTS.glob(f"bench/*/{SAMPLES}"))
TIMES = {"p50": 0.001, "p95": 0.002, "p99": 0.003, "max": 0.004}
Sample = dict


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.name)
def test_a_committed_report_can_be_made_again_byte_for_byte(folder, tmp_path):
    shutil.copy(folder / SAMPLES, tmp_path)
    report.make(tmp_path)
    for name in ("report.md", "summary.json"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def closed(rates: dict[str, float], *all_clients: int) -> list[Sample]:
    return [
        {"what": "closed", "name": name, "clients": clients, "rate": rate, "bad": 0, "round": 0, **TIMES}
        for clients in all_clients
        for name, rate in rates.items()
    ]


def each(what: str, counts: Sample, seconds: dict[str, float]) -> list[Sample]:
    return [{"what": what, "name": name, "round": 0, "seconds": s, **counts} for name, s in seconds.items()]


SHARED = [
    {"what": "others", "name": "before", "cores": 0.05, "busiest": {"sshd (7)": 0.05}},
    {"what": "others", "name": "round 1", "cores": 0.02, "busiest": {"sshd (7)": 0.02}},
    {"what": "memory", "name": "order", "mib": 110.0},
    {"what": "cost", "name": "a piece", "us": 12.0},
]
COMPLETION = {"what": "completion", "name": "service", "sent": 600, "notified": 600, "round": 0} | TIMES
COMPLETION |= {f"accept_{q}": 0.002 for q in TIMES}
BULKS = {"service": 1.2, "kafka-python": 1.0, "confluent-kafka": 0.1}
GOOD = {
    "sync-rest": [
        *closed({"service": 800.0, "bare": 1500.0, "naive": 400.0, "unpinned": 500.0, "pool": 900.0}, 1, 8, 20),
        *({"what": "open", "name": name, "sent": 500, "ok": 500, "round": 0, "lateness_p99": 0.001, **TIMES}
          for name in ("service", "bare", "naive", "unpinned", "pool")),
    ],
    "async-rabbitmq": [
        *closed({"service": 900.0, "alone": 1500.0}, 1, 8, 16),
        {"what": "end to end", "name": "service", "orders": 10_000, "bad": 0, "accept_seconds": 9.0,
         "notified": 10_000, "seconds": 10.0, "round": 0},
        *each("drain", {"orders": 10_000, "placed": 10_000}, {"service": 2.0, "republish": 1.5, "ack": 0.5}),
        COMPLETION,
    ],
    "streaming-kafka": [
        *each("bulk", {"size": "small", "orders": 10_000, "acknowledged": 10_000, "client": "x 1.0"}, BULKS),
        *each("bulk", {"size": "large", "orders": 90_000, "acknowledged": 90_000}, BULKS),
        *closed({"service": 900.0, "alone": 1500.0}, 1, 8, 16),
        *each("drain", {"placed": 9_000, "events": 9_000}, {"service": 1.8, "commit": 1.0, "transaction": 1.1}),
        *each("replay", {"events": 100_000}, {"service": 2.5, "read": 1.0}),
        COMPLETION,
    ],
    "load": [
        {"what": "lateness", "name": n, "sent": 900, "ok": 900, "seconds": 3, **TIMES} for n in ("even", "Poisson")
    ],
}  # fmt: skip


def judged(benchmark: str, samples: list[Sample]) -> dict[str, list[int]]:
    """Return which goals have which verdict, by their places in the table."""
    goals = report.judge(benchmark, Samples([*SHARED, *samples]))
    return {verdict: [n for n, g in enumerate(goals) if g["verdict"] == verdict] for verdict in ("fail", "unknown")}


@pytest.mark.parametrize("benchmark", GOOD)
def test_its_goals_are_reached_and_a_report_is_written(benchmark, tmp_path):
    versions = {"commit": "c", "cores": 2, "memory_gib": 4, "system": "x", "versions": {"Python": "3", "flask": "4"}}
    head = {"benchmark": benchmark, "quick": True, "environment": versions}
    history.write_lines(tmp_path / SAMPLES, [head, *SHARED, *GOOD[benchmark]])
    goals = len(report.GOALS[benchmark](Samples([]))) + 1
    assert report.make(tmp_path) == f"pass: {goals} of {goals} goals reached."
    assert json.loads((tmp_path / "summary.json").read_text())["verdict"] == "pass"
    page = (tmp_path / "report.md").read_text()
    assert f"at most 0.15 | 0.05 (before) | ✔ pass |\n\n## {page.split('## ')[1]}" in page
    assert f"```\n./lab bench {benchmark} --quick\n```\n\nThis run: commit `c`, 2 cores" in page
    assert "4 GiB, x; Python 3, flask 4. Every figure" in page
    assert "\n\n\n" not in page
    assert all(line.endswith("|") for line in page.splitlines() if line.startswith("|"))


A, B, C = "sync-rest", "async-rabbitmq", "streaming-kafka"


@pytest.mark.parametrize(
    ("benchmark", "which", "change", "missed"),
    [
        (A, {"what": "closed"}, {"rate": 524.0}, [0, 1]),
        (A, {"what": "closed"}, {"rate": 599.0}, [1]),
        (A, {"what": "closed"}, {"bad": 1}, [3]),
        (A, {"what": "open"}, {"p99": 0.0061}, [2]),
        (A, {"what": "open"}, {"ok": 499}, [3]),
        (B, {"what": "closed"}, {"rate": 749.0}, [0]),
        (B, {"what": "closed"}, {"bad": 1}, [2]),
        (B, {"what": "drain"}, {"seconds": 3.8}, [1]),
        (B, {"what": "drain"}, {"placed": 10_001}, [2]),
        (B, {"what": "end to end"}, {"bad": 1}, [2]),
        (B, {"what": "end to end"}, {"notified": 9_999}, [2]),
        (B, {"what": "completion"}, {"notified": 599}, [2]),
        (C, {"what": "drain"}, {"seconds": 2.1}, [0]),
        (C, {"what": "drain"}, {"placed": 9_001}, [2]),
        (C, {"what": "replay"}, {"seconds": 2.9}, [1]),
        (C, {"what": "bulk", "size": "large"}, {"acknowledged": 89_999}, [2]),
        (C, {"what": "closed"}, {"bad": 1}, [2]),
        (C, {"what": "completion"}, {"notified": 599}, [2]),
        ("load", {"name": "Poisson"}, {"p99": 0.0051}, [1]),
    ],
)
def test_a_goal_is_missed(benchmark, which, change, missed):
    which = {"name": "service"} | which
    samples = [s | change if which.items() <= s.items() else s for s in GOOD[benchmark]]
    assert judged(benchmark, samples) == {"fail": missed, "unknown": []}


@pytest.mark.parametrize(
    ("benchmark", "which", "unknown"),
    [
        (A, {"what": "closed"}, [0, 1, 3]),
        (A, {"what": "open"}, [2, 3]),
        (A, {"name": "bare"}, [0, 2]),
        (A, {"name": "naive"}, [1]),
        (B, {"what": "closed"}, [0, 2]),
        (B, {"what": "drain"}, [1, 2]),
        (B, {"name": "republish"}, [1]),
        (B, {"what": "completion"}, [2]),
        (B, {"what": "end to end"}, [2]),
        (C, {"what": "drain"}, [0, 2]),
        (C, {"name": "commit"}, [0]),
        (C, {"what": "replay"}, [1]),
        (C, {"what": "bulk"}, [2]),
        ("load", {"name": "even"}, [0]),
    ],
)
def test_what_was_not_measured_is_unknown(benchmark, which, unknown):
    left = [s for s in GOOD[benchmark] if not which.items() <= s.items()]
    assert judged(benchmark, left) == {"fail": [], "unknown": unknown}


def test_the_median_of_the_rounds_counts():
    more = [s | {"round": n, "rate": s["rate"] * (n if s["name"] == "service" else 5)}
            for s in GOOD[A] for n in (1, 2) if s["what"] == "closed"]  # fmt: skip
    goal, *_ = report.judge(A, Samples([*SHARED, *GOOD[A], *more]))
    assert (goal["verdict"], goal["measured"]) == ("fail", "0.21 (rounds: 0.11–0.53)")


@pytest.mark.parametrize("benchmark", GOOD)
def test_nothing_is_judged_while_others_use_the_machine(benchmark):
    busy = {"what": "others", "name": "round 2", "cores": 0.151, "busiest": {"java (12)": 0.12, "cc (9)": 0.03}}
    goals = report.judge(benchmark, Samples([*SHARED, busy, *GOOD[benchmark]]))
    assert {goal["verdict"] for goal in goals} == {"unknown"}
    assert goals[-1]["measured"] == "0.15 (round 2): java (12) 0.12, cc (9) 0.03"


def test_nothing_is_known_where_nobody_looked_who_else_was_there():
    *_, goal = report.judge(A, Samples(GOOD[A]))
    assert goal["verdict"] == "unknown"
