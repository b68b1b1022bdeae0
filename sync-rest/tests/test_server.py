"""A real service under clients that are slow, silent, wrong or many."""

import contextlib
import json
import re
import signal
import socket
import sqlite3
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest
from campus.problems import CONTENT_TYPE
from testing import MARGIN, Service, wait_until

PART = Path(__file__).resolve().parents[1]
CONTROL = ["GET /configure", "DELETE /configure", "GET /health", "GET /ready", "GET /metrics"]
BODY = json.dumps({"order_id": "o1", "items": [{"sku": "burger", "qty": 1}]}).encode()


def request(path: str = "/reserve", body: bytes = BODY, method: str = "POST", *headers: str) -> bytes:
    lines = [f"{method} {path} HTTP/1.1", "Host: x", "Content-Type: application/json", *headers]
    return "\r\n".join([*lines, f"Content-Length: {len(body)}", "", ""]).encode() + body


HALF = {
    "silent": b"",
    "half a request line": b"POST /res",
    "half a head": b"GET /health HTTP/1.1\r\nHost:",
    "half a body": request()[:-3],
    "half a body for a path that must answer": request("/configure", b'{"delay": 1}')[:-3],
    "half a chunk": b"POST /configure HTTP/1.1\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nab",
    "a body of which nothing comes": request("/configure", b"", "POST", "Expect: 100-continue")[:-22]
    + b"\r\nContent-Length: 9\r\n\r\n",
}


@pytest.fixture(scope="module")
def running(tmp_path_factory) -> Iterator[Service]:
    service = Service(PART, "inventory", tmp_path_factory.mktemp("server"), THREADS="4")
    service.start()
    wait_until(service.ready, alive=service)
    yield service
    service.kill()


@pytest.fixture
def service(running) -> Service:
    """The inventory service, of four threads, without faults."""
    running.call("DELETE", "/configure")
    running.call("GET", "/stock")  # requests of the last test may still sleep
    return running


@pytest.fixture
def connect(service) -> Iterator[Callable[..., socket.socket]]:
    """A function that connects to the service and sends something; all connections are closed at the end."""
    with contextlib.ExitStack() as stack:

        def one(data: bytes = b"", seconds: float = 1 + MARGIN) -> socket.socket:
            connection = socket.create_connection(("127.0.0.1", service.port), timeout=seconds)
            stack.enter_context(connection)
            connection.sendall(data)
            return connection

        yield one


def answer(connection: socket.socket) -> tuple[int, dict[str, str], bytes]:
    """Read one whole answer: its status, headers and body."""
    with connection.makefile("rb") as reader:
        status = int(reader.readline().split()[1])
        headers = dict(line.decode().strip().split(": ", 1) for line in iter(reader.readline, b"\r\n"))
        return status, headers, reader.read(int(headers["Content-Length"]))


def problem(connection: socket.socket) -> int:
    """Read an answer that must be a problem, after which the connection is closed; return its status."""
    status, headers, body = answer(connection)
    assert headers["Content-Type"] == CONTENT_TYPE
    problem = json.loads(body)
    assert (problem["status"], problem["request_id"]) == (status, headers["X-Request-ID"])
    assert connection.recv(1) == b""
    return status


def answers(connect: Callable[..., socket.socket], paths: list[str]) -> list[int]:
    """Return the status of the answer to each request, of which none may be late."""
    return [answer(connect(request(path, b"", method)))[0] for method, path in (line.split() for line in paths)]


@pytest.mark.parametrize("what", HALF)
def test_clients_that_do_not_finish_hold_up_nobody(service, connect, what):
    for _ in range(200):
        connect(HALF[what])
    assert answers(connect, CONTROL) == [200] * 5
    assert answer(connect(request()))[0] == 200


@pytest.mark.parametrize("fault", [{"failure_mode": "hang", "failure_rate": 1.0}, {"delay": 5.0}])
def test_requests_that_hang_or_sleep_hold_up_no_control(service, connect, fault):
    service.configure(**fault)
    for _ in range(200):
        connect(request())
    assert answers(connect, CONTROL) == [200] * 5


def hang(service: Service, connect: Callable[..., socket.socket], count: int) -> list[socket.socket]:
    """Send so many requests that hang, and wait until they do."""
    service.configure(failure_mode="hang", failure_rate=1.0)
    before = service.log().count("request hangs")
    hanging = [connect(request()) for _ in range(count)]
    wait_until(lambda: service.log().count("request hangs") == before + count, alive=service)
    return hanging


def test_as_many_work_at_a_time_as_there_are_threads(service, connect):
    hanging = hang(service, connect, 4)
    service.call("DELETE", "/configure")
    fifth = connect(request(), 0.3)
    with pytest.raises(TimeoutError):
        fifth.recv(1, socket.MSG_PEEK)
    fifth.settimeout(10)
    hanging[0].close()
    assert answer(fifth)[0] == 200


def test_a_hanging_request_costs_no_processor_time_whatever_its_caller_sends(service, connect):
    (hanging,) = hang(service, connect, 1)
    hanging.sendall(b"x" * 1000)
    (worker,) = psutil.Process(service.process.pid).children()
    before = sum(worker.cpu_times()[:2])
    mine = time.thread_time()
    while time.thread_time() < mine + 0.5:  # who works beside it gets as much
        pass
    assert sum(worker.cpu_times()[:2]) - before < 0.2


def test_a_check_that_waits_for_a_lock_is_late_alone(service, connect):
    holder = sqlite3.connect(service.folder / "inventory.db", isolation_level=None)
    with contextlib.closing(holder):
        holder.execute("BEGIN IMMEDIATE")
        status, _, body = answer(connect(request("/ready", b"", "GET")))
        assert (status, list(json.loads(body)["checks"])) == (503, ["database"])
        assert answers(connect, ["GET /health", "GET /configure", "GET /metrics"]) == [200] * 3
    wait_until(service.ready, alive=service)


@pytest.mark.promise("limits")
def test_a_request_has_5_s_for_its_head_and_10_s_for_its_body(service, connect):
    heads = [connect(HALF[what], 30) for what in ("half a request line", "half a head")]
    bodies = [connect(HALF[what], 30) for what in ("half a body", "half a chunk")]
    silent, kept = connect(b"", 30), connect(request("/health", b"", "GET"), 30)
    assert answer(kept)[0] == 200
    began = time.monotonic()
    assert [problem(connection) for connection in heads] == [408, 408]
    assert silent.recv(1) == b""
    assert time.monotonic() - began < 10  # not the deadline of a body
    assert [problem(connection) for connection in bodies] == [408, 408]
    kept.sendall(request())  # it was idle, which is no fault
    assert answer(kept)[0] == 200


WRONG = {
    400: [
        b"nonsense\r\n\r\n",
        b"GET /health HTTP/9.9\r\n\r\n",
        b"GET /health HTTP/1.1\n\n",
        b"GET /health HTTP/1.1\r\nno colon\r\n\r\n",
        b"GET /health HTTP/1.1\r\nContent-Length: many\r\n\r\n",
    ],
    413: [request(body=b" " * 65537)],
    414: [b"GET /" + b"x" * 5000 + b" HTTP/1.1\r\n\r\n"],
    417: [request("/reserve", BODY, "POST", "Expect: tea")],
    431: [request("/reserve", BODY, "POST", "X: " + "x" * 9000), b"GET / HTTP/1.1\r\nX: " + b"x" * 70_000],
    501: [b"POST /reserve HTTP/1.1\r\nTransfer-Encoding: tea\r\n\r\n"],
}


@pytest.mark.parametrize(("status", "wrong"), [(status, wrong) for status in WRONG for wrong in WRONG[status]])
def test_what_cannot_be_read_is_a_problem(connect, status, wrong):
    assert problem(connect(wrong)) == status


def test_a_chunk_that_is_none_is_a_problem(connect):
    head = b"POST /reserve HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    assert problem(connect(head + b"zz\r\n")) == 400


def test_a_request_may_come_in_any_way(connect):
    chunks = b"".join(b"1\r\n%c\r\n" % byte for byte in BODY) + b"0\r\n\r\n"
    head = b"POST /reserve HTTP/1.1\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
    two = connect(request() + head + chunks + request("/health", b"", "GET"))
    with two.makefile("rb") as reader:
        said = re.findall(rb"HTTP/1.1 (\d+)", read_until(reader, b'"ok"'))
    assert said == [b"200"] * 3
    polite = connect(request("/reserve", BODY, "POST", "Expect: 100-continue")[: -len(BODY)])
    assert polite.recv(100) == b"HTTP/1.1 100 Continue\r\n\r\n"
    polite.sendall(BODY)
    assert answer(polite)[0] == 200
    leaving = connect(request())
    leaving.shutdown(socket.SHUT_WR)
    assert answer(leaving)[0] == 200


def read_until(reader, end: bytes) -> bytes:
    said = b""
    while end not in said:
        said += reader.read(1)
    return said


def test_its_log_is_json_whatever_it_was_told(service, connect):
    connect(b"GET /\xff\x00\r\nx\r\n\r\n").recv(1)
    for line in service.log().splitlines():
        assert json.loads(line)["service"] in ("inventory", "gunicorn"), line


def test_it_stops_in_time_whatever_hangs(tmp_path):
    service = Service(PART, "order", tmp_path, THREADS="4", INVENTORY_URL="http://127.0.0.1:1")
    with contextlib.ExitStack() as stack:
        service.start()
        stack.callback(service.kill)
        wait_until(service.ready, alive=service)
        order = request("/order", b'{"item": "burger", "qty": 1}')
        service.configure(failure_mode="hang", failure_rate=1.0)
        clients = []
        for data in [order] * 20 + [b"", order[:-2], b"GET"] * 5:
            clients.append(stack.enter_context(socket.create_connection(("127.0.0.1", service.port))))
            clients[-1].sendall(data)
        wait_until(lambda: service.log().count("request hangs") == 4, alive=service)
        service.process.send_signal(signal.SIGTERM)
        assert service.process.wait(12) == 0
    said = [json.loads(line)["message"] for line in service.log().splitlines()]
    started = {line.removesuffix(" started") for line in said if line.endswith(" started")}
    assert started == {line.removesuffix(" stopped") for line in said if line.endswith(" stopped")}
    assert not [line for line in said if "SIGKILL" in line]
