"""The load generator, against a small server that gives every kind of reply."""

import itertools
import json
import os
import socket
import struct
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer

import pytest
from lab.analysis import latency
from lab.errors import LabError
from lab.history import loads
from lab.history import model as history
from lab.history.recorder import RunRecorder
from lab.load import generator
from lab.load.generator import Plan


class Answers(BaseHTTPRequestHandler):
    """Answers as the path says: `/201`, `/reset`, `/hang`, `/text`."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        """Reply to one order."""
        body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.got.append(body)
        what = self.path.strip("/")
        if what == "hang":
            self.server.let_go.wait(10)
        if what in ("reset", "hang"):
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
            self.close_connection = True
            self.connection.close()
            return
        reply = b"not JSON" if what == "text" else json.dumps({"order_id": f"id-{body['user_id']}"}).encode()
        self.send_response(200 if what == "text" else int(what))
        self.send_header("Content-Length", str(len(reply)))
        self.end_headers()
        self.wfile.write(reply)

    def finish(self) -> None:
        """Close; the connection may be closed already."""
        if not self.connection._closed:
            super().finish()

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[ThreadingHTTPServer]:
    with ThreadingHTTPServer(("127.0.0.1", 0), Answers) as made:
        made.got, made.let_go = [], threading.Event()
        made.url = f"http://127.0.0.1:{made.server_port}"
        thread = threading.Thread(target=made.serve_forever, args=(0.05,))
        thread.start()
        yield made
        made.let_go.set()
        made.shutdown()
        thread.join()


def drive(plan: Plan, url: str) -> tuple[list[dict], history.Run]:
    """Run a load and return its lines, and the same as a run."""
    lines, began, until = generator.run(plan, url, generator.monotonic_since(time.monotonic()))
    phase = {"at": began, "type": "phase", "phase": plan.phase, "params": plan.params(), "until": until}
    return lines, history.Run({}, [phase, *lines])


def test_constant_arrivals_are_even():
    assert generator.arrivals(Plan("a", rate=4, seconds=1.5)) == [0, 0.25, 0.5, 0.75, 1.0, 1.25]


def test_poisson_arrivals_are_the_same_for_a_seed():
    plan = Plan("a", rate=100, seconds=20, poisson=True, seed=7)
    times = generator.arrivals(plan)
    assert times == generator.arrivals(plan)
    assert times != generator.arrivals(Plan("a", rate=100, seconds=20, poisson=True, seed=8))
    assert times != generator.arrivals(Plan("b", rate=100, seconds=20, poisson=True, seed=7))
    assert times == sorted(times)
    assert 0 < times[0] < times[-1] < 20
    assert len(times) == pytest.approx(2000, abs=200)
    gaps = [b - a for a, b in itertools.pairwise(times)]
    short = sum(gap < 0.01 for gap in gaps) / len(gaps)
    assert short == pytest.approx(1 - 2.71828**-1, abs=0.05)  # exponential, with a mean of 10 ms


def test_orders_are_the_same_for_a_seed():
    def first(seed: int, phase: str = "a") -> list:
        return list(itertools.islice(generator.orders(Plan(phase, seed=seed)), 200))

    assert first(1) == first(1)
    assert [items for _, items in first(1)] != [items for _, items in first(2)]
    assert [op for op, _ in first(1)[:2]] == ["a-000000", "a-000001"]
    for _, items in first(1):
        skus = [line["sku"] for line in items]
        assert len(set(skus)) == len(skus) in (1, 2, 3)
        assert all(1 <= line["qty"] <= 3 for line in items)


@pytest.mark.parametrize(
    ("reply", "result"),
    [("201", "ok"), ("200", "ok"), ("202", "ok")]
    + [(kind, "fail") for kind in ("400", "404", "409", "413", "415", "422", "429", "502", "503")]
    + [(kind, "info") for kind in ("500", "504", "reset")],
)
def test_what_a_reply_says_of_the_order(server, reply, result):
    lines, run = drive(Plan("a", clients=1, count=3, path=f"/{reply}"), server.url)
    assert [(op.result, op.kind) for op in run.operations] == [(result, reply)] * 3
    assert [op.order_id for op in run.operations] == [None if reply == "reset" else f"id-{op}" for op in ops_of(lines)]
    assert [body["user_id"] for body in server.got] == ops_of(lines)  # each was sent once: nothing is tried again


def ops_of(lines: list[dict]) -> list[str]:
    return [line["op"] for line in lines if line["type"] == "invoke"]


def test_what_is_sent_is_what_is_recorded(server):
    lines, _ = drive(Plan("a", clients=2, count=20, path="/201"), server.url)
    sent = {line["op"]: line["items"] for line in lines if line["type"] == "invoke"}
    assert {body["user_id"]: body["items"] for body in server.got} == sent
    assert len(sent) == 20


def test_a_reply_without_json_has_no_order(server):
    _, run = drive(Plan("a", clients=1, count=1, path="/text"), server.url)
    assert [(op.result, op.order_id) for op in run.operations] == [("ok", None)]


def test_a_closed_port_refuses_for_certain(free_port):
    _, run = drive(Plan("a", clients=1, count=2), f"http://127.0.0.1:{free_port}")
    assert [(op.result, op.kind) for op in run.operations] == [("fail", "refused")] * 2


def test_no_reply_in_time_is_unknown(server):
    _, run = drive(Plan("a", clients=1, count=1, path="/hang", timeout=0.2), server.url)
    [op] = run.operations
    assert (op.result, op.kind) == ("info", "timeout")
    assert op.ended - op.sent >= 0.2


def test_an_open_loop_keeps_its_schedule(server):
    plan = Plan("a", rate=50, seconds=1, path="/201")
    _, run = drive(plan, server.url)
    began = run.phases[0]["at"]
    assert [op.intended - began for op in run.operations] == pytest.approx(generator.arrivals(plan), abs=1e-5)
    assert all(op.sent >= op.intended - 0.001 for op in run.operations)
    assert latency.of_phases(run)["a"]["ok"] == 50


def test_an_open_loop_does_not_wait_for_answers(server):
    _, run = drive(Plan("a", rate=50, seconds=0.4, path="/hang", timeout=1.0), server.url)
    assert len(run.operations) == 20
    assert max(op.sent for op in run.operations) < min(op.ended for op in run.operations)


def test_what_the_cap_on_waiting_turns_away_is_dropped_and_counted(server, monkeypatch):
    monkeypatch.setattr(generator, "MAX_WAITING", 5)
    lines, run = drive(Plan("a", rate=500, seconds=0.05, path="/hang", timeout=5), server.url)
    of = latency.of_phases(run)["a"]
    assert (of["sent"], of["dropped"]) == (5, 20)
    assert [line["op"] for line in lines if line["type"] == "dropped"] == [f"a-{n:06d}" for n in range(5, 25)]
    assert len(server.got) == 5


def test_few_open_files_are_a_limit_of_the_generator_and_no_fault_of_the_service(server, monkeypatch):
    """On a Mac a process begins with 256; nothing is counted as refused by a service that did not refuse it."""
    monkeypatch.setattr(generator.resource, "getrlimit", lambda _: (generator.OTHER_FILES + 5, 4096))
    _, run = drive(Plan("a", rate=500, seconds=0.05, path="/hang", timeout=5), server.url)
    of = latency.of_phases(run)["a"]
    assert (of["sent"], of["dropped"], of["fail"]) == (5, 20, 0)
    with pytest.raises(LabError, match="6 clients need more open files") as refused:
        drive(Plan("a", clients=6, count=6, path="/201"), server.url)
    assert refused.value.hint.startswith("at most 5 clients")


def test_the_command_raises_the_limit_of_open_files_as_far_as_it_may():
    """What it starts, services and brokers, inherits the limit."""
    show = "import resource, runpy, sys; sys.argv[1:] = ['--help']\ntry: runpy.run_module('lab', run_name='__main__')"
    code = f"{show}\nfinally: print('files', *resource.getrlimit(resource.RLIMIT_NOFILE))"
    env = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    for hard, soft in ((4096, 4096), (20_000, 8192)):
        limited = f'ulimit -Sn 256 && ulimit -Hn {hard} && exec "$0" -c "$1"'
        done = subprocess.run(
            ["bash", "-c", limited, sys.executable, code], env=env, capture_output=True, text=True, timeout=60
        )
        assert f"files {soft} {hard}" in done.stdout, done.stderr


def test_a_closed_loop_waits_for_its_answer(server):
    _, run = drive(Plan("a", clients=1, count=20, path="/201"), server.url)
    for earlier, later in itertools.pairwise(run.operations):
        assert earlier.ended <= later.intended <= later.sent


def test_a_closed_loop_ends_in_time(server):
    _, run = drive(Plan("a", clients=2, seconds=0.3, path="/201"), server.url)
    assert run.operations
    assert all(op.intended - run.phases[0]["at"] <= 0.3 for op in run.operations)


def test_what_a_reader_needs_to_know_of_a_load():
    plan = Plan("a", rate=20, seconds=5, poisson=True)
    assert plan.params() == {"loop": "open", "rate": 20, "seconds": 5, "poisson": True, "seed": 1, "timeout": 60.0}
    assert Plan("a", clients=8, count=200).params()["loop"] == "closed"


def test_a_load_whose_orders_would_have_the_names_of_an_earlier_one_is_refused(tmp_path):
    recorder = RunRecorder.begin(tmp_path / "run", {"part": "streaming-kafka"})
    burst = Plan("burst", bulk=True, count=10, seed=4)
    recorder.record(type="begins", phase="burst")
    recorder.record(type="phase", phase="burst", params=burst.params(), until=1.0)
    with pytest.raises(LabError, match="has had a load burst"):
        loads.run(Plan("burst", clients=1, count=1), "http://nobody", recorder)
    with pytest.raises(LabError, match="the load burst sent the orders of seed 4"):
        loads.run(Plan("again", bulk=True, count=10, seed=4), "http://nobody", recorder)
    assert not [line for line in recorder.lines() if line["type"] == "begins" and line["phase"] == "again"]
