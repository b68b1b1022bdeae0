"""How the benchmarks measure: the raw client counts, other processes are seen, waiting ends, baselines exist."""

import importlib.util
import os
import threading
from collections import namedtuple
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import SimpleNamespace

import pytest
from benchmarks import baselines, measure, raw_client
from benchmarks.baselines import BASELINES
from lab.errors import LabError
from lab.history.machine import Others


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


class HangUp(Accept):
    """Does so over a new connection each time."""

    protocol_version = "HTTP/1.0"

    def end_headers(self):
        self.send_header("Connection", "close")
        super().end_headers()


@pytest.fixture(params=[Accept, HangUp])
def port(request):
    server = ThreadingHTTPServer(("127.0.0.1", 0), request.param)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server.server_port
    server.shutdown()
    server.server_close()


@pytest.mark.parametrize("count", [10, 3])
def test_the_raw_client_stops_after_a_count(port, count):
    sample = raw_client.drive(port, 4, 30.0, count=count, wanted=202)
    assert (len(sample.latencies), sample.bad) == (count, 0)


def test_the_raw_client_counts_other_answers_as_bad(port):
    assert raw_client.drive(port, 4, 30.0, count=5).bad == 5


Times = namedtuple("Times", "user system")


def test_other_processes_are_seen_and_not_our_own(monkeypatch):
    now, used = [100.0], {}

    def processes(_attributes):
        here = os.getpid()
        shown = [
            (here, 1, "lab"),
            (7, 1, "java"),
            (8, here, "gunicorn"),
            (9, 8, "gunicorn"),
            (10, 7, "cc"),
            (11, 1, "?"),
        ]
        for pid, parent, name in shown:
            times = None if name == "?" else Times(used.get(pid, 0.0), 1.0)  # of some nothing is told
            yield SimpleNamespace(info={"pid": pid, "ppid": parent, "name": name, "cpu_times": times})

    monkeypatch.setattr(measure.psutil, "process_iter", processes)
    monkeypatch.setattr(measure.time, "monotonic", lambda: now[0])
    others = Others()
    now[0], used = 110.0, {os.getpid(): 9.0, 7: 4.0, 8: 9.0, 9: 9.0, 10: 1.0}
    assert others.look() == (0.5, {"java (7)": 0.4, "cc (10)": 0.1})
    now[0] = 120.0
    assert others.look() == (0.0, {"java (7)": 0.0, "cc (10)": 0.0})


METRICS = """# HELP messages_total Messages by outcome
# TYPE messages_total counter
messages_total{group="g",outcome="dead_lettered"} 1.0
messages_total{group="g",outcome="done"} 42.0
"""


def test_a_services_work_is_read(monkeypatch):
    answer = SimpleNamespace(status_code=200, text=METRICS)
    monkeypatch.setattr(measure.client, "try_get", lambda *_, **__: answer)
    assert measure.done(SimpleNamespace(url="http://x")) == 42.0


def test_waiting_ends_with_a_plain_sentence(monkeypatch):
    monkeypatch.setattr(measure, "SETTLE_SECONDS", 0.01)
    with pytest.raises(LabError, match="the backlog stays after"):
        measure.wait("the backlog stays", lambda: False, every=0.001)


def test_without_the_cost_of_each_piece_the_rest_is_kept(monkeypatch):
    def takes_too_long(*_):
        raise LabError("cost_by_part.py failed", "see the log")

    said: list[str] = []
    bench = measure.Bench("sync-rest", True, said.append)
    bench.add("memory", "order", mib=50.0)
    monkeypatch.setattr(measure.baselines, "printed", takes_too_long)
    bench.costs()
    assert said[-1] == "cost_by_part.py failed: see the log; the report is made without it"
    assert [sample["what"] for sample in bench.samples] == ["memory"]


def test_what_a_program_printed_before_it_took_too_long_is_kept(monkeypatch, tmp_path):
    monkeypatch.setattr(baselines, "FOLDER", tmp_path)
    monkeypatch.setattr(baselines, "SECONDS", 1)
    words = ["-c", 'import time; print(\'{"part": "x", "us": 7}\\n{"half\', flush=True); time.sleep(60)']
    assert baselines.printed(words, "log", "sync-rest", {}) == [{"part": "x", "us": 7}]


def test_what_baselines_run_is_there():
    named = {word.partition(":")[0] for b in BASELINES.values() for word in b.module if word.startswith("benchmarks.")}
    assert named
    assert all(importlib.util.find_spec(name) for name in named)


def test_an_order_that_moves_on_between_two_questions_is_not_taken_for_finished(monkeypatch):
    states = ["placed", *3 * ["reserved"], "notified"]  # of the one order, as it is at each question
    asked = []

    def call(_method, url):
        asked.append(states[len(asked)])
        return SimpleNamespace(json=lambda: {"orders": [{}] if url.endswith(f"status={asked[-1]}") else []})

    monkeypatch.setattr(measure.client, "call", call)
    measure.settle({"order": SimpleNamespace(url="http://x")}, "0")
    assert asked == states
