"""Calls to another service, which here is a few lines of socket: what was sent, and what may have happened."""

import contextlib
import json
import socket
import sys
import threading
import time
from concurrent.futures import ThreadPoolExecutor

import pytest
from campus.service_client import MAX_KEPT, ConnectFailed, OutcomeUnknown, Reply, ServiceClient


class Server:
    """Answers each request with the next of `answers`; the empty answer closes the connection, None says nothing."""

    def __init__(self, *answers: bytes | None) -> None:
        self.answers, self.requests, self.connections = list(answers), [], 0
        self.before_answering = lambda: None
        self._listening = socket.create_server(("127.0.0.1", 0), backlog=128)
        self._open: list[socket.socket] = []
        threading.Thread(target=self._accept, daemon=True).start()

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self._listening.getsockname()[1]}"

    def close(self) -> None:
        for each in (self._listening, *self._open):
            with contextlib.suppress(OSError):
                each.shutdown(socket.SHUT_RDWR)
            each.close()

    def _accept(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                connection, _ = self._listening.accept()
                self.connections += 1
                self._open.append(connection)
                threading.Thread(target=self._serve, args=(connection,), daemon=True).start()

    def _serve(self, connection: socket.socket) -> None:
        with contextlib.suppress(OSError), connection.makefile("rb") as stream:
            while request := self._read(stream):
                self.requests.append(request)
                self.before_answering()
                answer = self.answers.pop(0)
                if answer == b"":
                    connection.shutdown(socket.SHUT_RDWR)
                elif answer is not None:
                    connection.sendall(answer)

    def _read(self, stream) -> tuple[str, dict[str, str], bytes] | None:
        line = stream.readline().decode().strip()
        if not line:
            return None
        headers = {}
        while header := stream.readline().decode().strip():
            name, _, value = header.partition(": ")
            headers[name.lower()] = value
        return line, headers, stream.read(int(headers.get("content-length", 0)))


def answer(status: str, body: bytes, *headers: str) -> bytes:
    lines = [f"HTTP/1.1 {status}", f"Content-Length: {len(body)}", *headers]
    return "\r\n".join([*lines, "", ""]).encode() + body


OK = answer("200 OK", b'{"status":"reserved"}')


@pytest.fixture
def connect():
    """A function that starts a server with these answers and returns it with a client that calls it."""
    with contextlib.ExitStack() as stack:

        def start(*answers: bytes | None) -> tuple[Server, ServiceClient]:
            server = Server(*answers)
            stack.callback(server.close)
            client = ServiceClient(server.url)
            stack.callback(client.stop)
            return server, client

        yield start


def post(client: ServiceClient, timeout: float = 5.0) -> Reply:
    return client.post("/reserve", {"order_id": "o1"}, timeout=timeout, request_id="r1")


def test_post_sends_json_and_the_request_id(connect):
    server, client = connect(OK)
    assert post(client) == Reply(200, {"status": "reserved"})
    line, headers, body = server.requests[0]
    assert line == "POST /reserve HTTP/1.1"
    assert (headers["content-type"], headers["x-request-id"]) == ("application/json", "r1")
    assert json.loads(body) == {"order_id": "o1"}


def test_get_sends_the_request_id_and_no_body(connect):
    server, client = connect(OK)
    assert client.get("/reservations/o1", timeout=5, request_id="r1").status == 200
    line, headers, body = server.requests[0]
    assert (line, headers["x-request-id"], body) == ("GET /reservations/o1 HTTP/1.1", "r1", b"")


@pytest.mark.skipif(not hasattr(socket, "MSG_MORE"), reason="only Linux can hold a packet back")
def test_the_head_of_a_request_arrives_together_with_its_body():
    with socket.create_server(("127.0.0.1", 0)) as listening, ThreadPoolExecutor(1) as pool:
        client = ServiceClient(f"http://127.0.0.1:{listening.getsockname()[1]}")
        for _ in range(5):
            reply = pool.submit(post, client)
            with listening.accept()[0] as connection:
                assert connection.recv(65536).endswith(b'\r\n\r\n{"order_id":"o1"}')
                connection.sendall(answer("200 OK", b"{}", "Connection: close"))
            assert reply.result().status == 200


@pytest.mark.parametrize(
    "status", ["404 Not Found", "409 Conflict", "500 Internal Server Error", "503 Service Unavailable"]
)
def test_an_error_is_an_answer_and_is_not_tried_again(connect, status):
    server, client = connect(answer(status, b'{"reason":"x"}', "Retry-After: 0"))
    assert post(client) == Reply(int(status[:3]), {"reason": "x"})
    assert len(server.requests) == 1


def test_a_redirect_is_not_followed(connect):
    server, client = connect(answer("302 Found", b"", "Location: /elsewhere"))
    assert post(client).status == 302
    assert len(server.requests) == 1


@pytest.mark.parametrize("body", [b"<html>", b"", b"\xff", b"[1]", b"null"])
def test_a_body_that_is_no_json_object_is_empty(connect, body):
    _, client = connect(answer("502 Bad Gateway", body))
    assert post(client) == Reply(502, {})


def test_connections_are_reused(connect):
    server, client = connect(OK, OK, OK)
    for _ in range(3):
        post(client)
    assert (len(server.requests), server.connections) == (3, 1)


def test_a_kept_connection_that_was_closed_is_replaced(connect):
    server, client = connect(OK, OK)
    post(client)
    server._open[0].shutdown(socket.SHUT_RDWR)
    assert post(client).status == 200
    assert server.connections == 2


def test_nobody_listening_means_not_sent():
    with socket.create_server(("127.0.0.1", 0)) as taken:
        url = f"http://127.0.0.1:{taken.getsockname()[1]}"
    with pytest.raises(ConnectFailed):
        post(ServiceClient(url))


@pytest.mark.skipif(sys.platform != "linux", reason="how a full backlog behaves differs by system")
def test_a_connection_that_is_not_accepted_in_time_means_not_sent():
    with contextlib.ExitStack() as stack:
        full = stack.enter_context(socket.create_server(("127.0.0.1", 0), backlog=0))
        for _ in range(3):  # nobody accepts: soon the kernel answers no more
            filler = stack.enter_context(socket.socket())
            filler.setblocking(False)
            filler.connect_ex(full.getsockname())
        began = time.monotonic()
        with pytest.raises(ConnectFailed):
            post(ServiceClient(f"http://127.0.0.1:{full.getsockname()[1]}"), timeout=0.3)
        assert time.monotonic() - began < 1.5


def test_silence_means_no_answer_within_the_timeout(connect):
    server, client = connect(None)
    began = time.monotonic()
    with pytest.raises(OutcomeUnknown):
        post(client, timeout=0.3)
    assert 0.3 <= time.monotonic() - began < 1.5
    assert len(server.requests) == 1


@pytest.mark.parametrize(
    "bytes_sent",
    [
        b"",
        b"garbage\r\n\r\n",
        b"HTTP/1.1 200 OK\r\n",
        b"HTTP/1.1 200 OK\r\nContent-Le",
        b"HTTP/1.1 200 OK\r\nContent-Length: many\r\n\r\n{}",
        b"HTTP/1.1 200 OK\r\nContent-Length: -1\r\n\r\n{}",
    ],
)
def test_a_broken_answer_means_no_answer_and_no_second_try(connect, bytes_sent):
    server, client = connect(bytes_sent)
    with pytest.raises(OutcomeUnknown):
        post(client, timeout=0.5)
    assert len(server.requests) == 1


def test_an_answer_in_chunks_is_read(connect):
    _, client = connect(b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n8\r\n{"a": 1}\r\n0\r\n\r\n')
    assert post(client, timeout=2).body == {"a": 1}


def test_half_an_answer_is_none(connect):
    _, client = connect(OK[:-5])
    with pytest.raises(OutcomeUnknown):
        post(client, timeout=0.3)


class Trickle:
    """Answers with one byte after the other, until the caller leaves."""

    def __init__(self, head: bytes) -> None:
        self._listening = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listening.getsockname()[1]}"
        threading.Thread(target=self._serve, args=(head,), daemon=True).start()

    def _serve(self, head: bytes) -> None:
        with contextlib.suppress(OSError), self._listening, self._listening.accept()[0] as connection:
            connection.sendall(head)
            while True:
                connection.sendall(b"x")
                time.sleep(0.02)


@pytest.mark.parametrize(
    "head", [b"HTTP/1.1 200 ", b"HTTP/1.1 200 OK\r\nX-", b"HTTP/1.1 200 OK\r\nContent-Length: 99999\r\n\r\n"]
)
def test_an_answer_that_trickles_in_means_no_answer_within_the_timeout(head):
    client = ServiceClient(Trickle(head).url)
    answered = ThreadPoolExecutor(1).submit(post, client, 0.3)
    with pytest.raises(OutcomeUnknown):
        answered.result(15)


@pytest.mark.parametrize(
    "sent",
    [
        b"HTTP/1.1 200 OK\r\nContent-Length: 2000000\r\n\r\n" + b" " * 2_000_000,
        b"HTTP/1.1 200 OK\r\n\r\n" + b" " * 2_000_000,
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n" + b"200000\r\n" + b" " * 2_097_152,
        b"HTTP/1.1 200 OK\r\n" + b"".join(b"X-%d: y\r\n" % n for n in range(200)) + b"\r\n",
    ],
    ids=["length", "until the end", "chunks", "headers"],
)
def test_too_large_an_answer_means_no_answer(connect, sent):
    _, client = connect(sent)
    with pytest.raises(OutcomeUnknown, match=r"larger than|more than"):
        post(client)


def test_name_resolution_that_hangs_means_not_sent_within_the_timeout(monkeypatch):
    asked, answers = [], threading.Event()

    def hang(*where, **_options):
        asked.append(where)
        answers.wait(15)
        return []

    monkeypatch.setattr(socket, "getaddrinfo", hang)
    client = ServiceClient("http://inventory.example:8001")
    with ThreadPoolExecutor(8) as pool:
        calls = [pool.submit(post, client, 0.2) for _ in range(8)]
        try:
            for call in calls:
                with pytest.raises(ConnectFailed):
                    call.result(10)
            assert not answers.is_set()
            assert asked == [("inventory.example", 8001)]  # all waited for the answer to one question
        finally:
            answers.set()


def test_a_name_without_an_address_means_not_sent(monkeypatch):
    def fail(*_where, **_options):
        raise socket.gaierror("no such host")

    monkeypatch.setattr(socket, "getaddrinfo", fail)
    with pytest.raises(ConnectFailed, match="no such host"):
        post(ServiceClient("http://inventory.example"))


def test_the_second_address_is_tried_when_the_first_refuses(connect, monkeypatch):
    server, _ = connect(OK)
    with socket.create_server(("127.0.0.1", 0)) as taken:
        nobody = taken.getsockname()
    there = ("127.0.0.1", int(server.url.rpartition(":")[2]))
    found = [(socket.AF_INET, socket.SOCK_STREAM, 0, "", address) for address in (nobody, there)]
    monkeypatch.setattr(socket, "getaddrinfo", lambda *_where, **_options: found)
    assert post(ServiceClient("http://inventory.example")).status == 200


def test_connections_are_kept_for_the_next_caller_whatever_its_thread_and_only_so_many(connect):
    together = threading.Barrier(2 * MAX_KEPT)
    server, client = connect(*[OK] * (4 * MAX_KEPT))
    server.before_answering = together.wait
    with ThreadPoolExecutor(2 * MAX_KEPT) as pool:
        list(pool.map(lambda _: post(client), range(2 * MAX_KEPT)))
    assert server.connections == 2 * MAX_KEPT
    with ThreadPoolExecutor(2 * MAX_KEPT) as pool:
        list(pool.map(lambda _: post(client), range(2 * MAX_KEPT)))
    assert server.connections == 3 * MAX_KEPT


def test_a_connection_that_the_answer_closes_is_not_used_again(connect):
    server, client = connect(answer("200 OK", b"{}", "Connection: close"), OK)
    post(client)
    assert post(client).status == 200
    assert server.connections == 2


def test_a_late_answer_is_not_taken_for_that_of_the_next_call(connect):
    server, client = connect(None, answer("200 OK", b'{"call":2}'))
    with pytest.raises(OutcomeUnknown):
        post(client, timeout=0.2)
    with contextlib.suppress(OSError):
        server._open[0].sendall(answer("200 OK", b'{"call":1}'))
    assert post(client).body == {"call": 2}


def test_proxies_in_the_environment_are_ignored(connect, monkeypatch):
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    monkeypatch.setenv("NO_PROXY", "")
    _, client = connect(OK)
    assert post(client).status == 200
