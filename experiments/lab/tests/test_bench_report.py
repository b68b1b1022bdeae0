"""The benchmarks' reports: made from the samples alone, the same bytes each time, and no pass without a measurement."""

import json
import shutil
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from benchmarks import raw_client, report_b
from benchmarks import report as bench_report
from lab.history import model as history
from lab.history.model import SAMPLES
from lab.paths import RESULTS

COMMITTED = sorted(file.parent for file in RESULTS.glob(f"bench/*/{SAMPLES}"))


@pytest.mark.parametrize("folder", COMMITTED, ids=lambda folder: folder.name)
def test_a_committed_report_can_be_made_again_byte_for_byte(folder, tmp_path):
    shutil.copy(folder / SAMPLES, tmp_path)
    bench_report.make(tmp_path)
    for name in ("report.md", "summary.json"):
        assert (tmp_path / name).read_bytes() == (folder / name).read_bytes(), name


def closed(name: str, clients: int, rate: float) -> dict:
    times = {"p50": 0.001, "p95": 0.002, "p99": 0.003, "max": 0.004}
    return {"what": "closed", "name": name, "clients": clients, "rate": rate, "bad": 0, "round": 0, **times}


def good() -> list[dict]:
    """Return samples that reach every goal."""
    drains = {"service": 2.0, "republish": 1.5, "ack": 0.5}
    return [
        *(closed("service", clients, 900.0 + clients) for clients in (1, 8, 16)),
        *(closed("alone", clients, 1500.0) for clients in (1, 8, 16)),
        {"what": "end to end", "orders": 10_000, "bad": 0, "accept_seconds": 9.0, "notified": 10_000, "seconds": 10.0},
        *({"what": "drain", "name": n, "orders": 10_000, "seconds": s, "round": 0} for n, s in drains.items()),
        {"what": "completion", "sent": 600, "notified": 600, "p50": 0.01, "p95": 0.02, "p99": 0.03, "max": 0.04}
        | {f"accept_{q}": 0.002 for q in ("p50", "p95", "p99", "max")},
        {"what": "memory", "service": "order", "mib": 95.0},
    ]


def verdicts(samples: list[dict]) -> list[str]:
    goals, sections = report_b.judge(samples)
    assert all(section.startswith("## ") for section in sections)
    return [goal["verdict"] for goal in goals]


def test_part_b_reaches_its_goals():
    assert verdicts(good()) == ["pass"] * 8


@pytest.mark.parametrize(
    ("what", "change", "missed"),
    [
        ("closed", {"rate": 700.0}, [0]),
        ("drain", {"seconds": 4.0}, [2]),
        ("end to end", {"seconds": 12.0}, [4]),
        ("end to end", {"bad": 1}, [7]),
        ("completion", {"p99": 0.051}, [5]),
        ("completion", {"notified": 599}, [7]),
        ("memory", {"mib": 151.0}, [6]),
    ],
)
def test_part_b_misses_a_goal(what, change, missed):
    samples = [s | change if s["what"] == what and s.get("name") != "alone" else s for s in good()]
    assert [n for n, verdict in enumerate(verdicts(samples)) if verdict == "fail"] == missed


def test_lost_orders_are_no_completion():
    samples = [s | {"notified": 9_999} if s["what"] == "end to end" else s for s in good()]
    assert (verdicts(samples)[4], verdicts(samples)[7]) == ("unknown", "fail")


@pytest.mark.parametrize("what", ["drain", "end to end", "completion", "memory", "closed"])
def test_what_was_not_measured_is_unknown(what):
    left = [s for s in good() if s["what"] != what]
    assert "unknown" in verdicts(left)
    assert "fail" not in verdicts(left)


def test_a_drain_without_its_floor_is_unknown():
    assert verdicts([s for s in good() if s.get("name") != "republish"])[3] == "unknown"


def test_a_report_is_written(tmp_path):
    versions = {"commit": "c", "cores": 2, "memory_gib": 4, "system": "x", "versions": {"Python": "3"}}
    head = {"benchmark": "async-rabbitmq", "quick": True, "environment": versions}
    history.write_lines(tmp_path / SAMPLES, [head, *good()])
    assert bench_report.make(tmp_path) == "pass: 8 of 8 goals reached."
    assert json.loads((tmp_path / "summary.json").read_text())["verdict"] == "pass"


class Accept(BaseHTTPRequestHandler):
    """Answers each order 202."""

    protocol_version = "HTTP/1.1"

    def do_POST(self):
        self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(202)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def log_message(self, *_):
        """Say nothing."""


@pytest.fixture
def port():
    server = ThreadingHTTPServer(("127.0.0.1", 0), Accept)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("count", [10, 3])
def test_the_cheap_client_stops_after_a_count(port, count):
    sample = raw_client.drive(port, 4, 30.0, count=count, wanted=202)
    assert (len(sample.latencies), sample.bad) == (count, 0)


def test_the_cheap_client_counts_other_answers_as_bad(port):
    assert raw_client.drive(port, 4, 30.0, count=5).bad == 5
