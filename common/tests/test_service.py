"""What every service has around its own endpoints, on an app that has next to none."""

import contextlib
import io
import json
import logging
import platform
import re
import select
import socket
import sys
import threading
from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import pytest
from campus.database import CommitUnknown, DatabaseDown
from campus.faults import ANSWERING, Drop, Faults, Hang
from campus.lifecycle import Part
from campus.problems import CONTENT_TYPE, Problem
from campus.service import MAX_BODY, bind_order_id, create_service, json_body, listing, page_request
from campus.views import add_gauge
from flask import g
from gunicorn.http.errors import InvalidChunkSize
from prometheus_client.parser import text_string_to_metric_families

UUID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")
BAD = {
    "error": Problem(409, "busy", "Busy.", headers={"Retry-After": "3"}, seats=0),
    "bug": KeyError("x"),
    "database": DatabaseDown("locked"),
    "commit": CommitUnknown("gone"),
    "chunk": InvalidChunkSize(b"zz"),
}


class Checked(Part):
    """A part with these checks."""

    def __init__(self, **checks: Callable[[], Any]) -> None:
        self._checks = checks

    @property
    def checks(self):
        return self._checks


class Oven:
    """Something that a service needs, and whether it is there."""

    broken = False

    def check(self) -> None:
        if self.broken:
            raise ConnectionError("gone")


@pytest.fixture
def oven():
    return Oven()


@pytest.fixture
def app(oven):
    service = create_service("cafe", faults=Faults(ANSWERING), parts=[Checked(oven=oven.check)])

    @service.post("/echo")
    def echo():
        return {"got": json_body(), "request_id": g.request_id}

    @service.post("/about/<order_id>")
    def fail_about(order_id: str):
        bind_order_id(order_id)
        raise BAD["error"]

    @service.get("/page")
    def page():
        return page_request("colour")

    @service.get("/fail/<how>")
    def fail(how: str):
        raise {**BAD, "hang": Hang(), "drop": Drop()}[how]

    return service


@pytest.fixture
def client(app):
    return app.test_client()


def problem(response) -> dict:
    """Return the problem in a response that must be one."""
    assert response.content_type == CONTENT_TYPE
    body = response.get_json(force=True)
    assert body["status"] == response.status_code
    assert body["request_id"] == response.headers["X-Request-ID"]
    assert {"type", "title", "detail"} <= set(body)
    return body


def test_a_request_id_is_taken_and_returned(client):
    response = client.post("/echo", json={}, headers={"X-Request-ID": "abc-1"})
    assert response.headers["X-Request-ID"] == response.json["request_id"] == "abc-1"


@pytest.mark.parametrize("given", [None, "", "two words", "é", "x" * 129, "tab\tbed"])
def test_a_missing_or_bad_request_id_is_made(client, given):
    headers = {} if given is None else {"X-Request-ID": given}
    made = client.get("/health", headers=headers).headers["X-Request-ID"]
    assert UUID.fullmatch(made)
    assert made != client.get("/health", headers=headers).headers["X-Request-ID"]


def test_a_problem_is_answered_with_its_members_and_headers(client):
    response = client.get("/fail/error")
    body = problem(response)
    assert (response.status_code, body["type"]) == (409, "urn:campus:problem:busy")
    assert (body["title"], body["detail"], body["seats"]) == ("Conflict", "Busy.", 0)
    assert response.headers["Retry-After"] == "3"
    assert "order_id" not in body


def test_a_problem_names_the_order_that_the_request_is_about(client):
    assert problem(client.post("/about/o7"))["order_id"] == "o7"


def test_an_unexpected_error_is_a_500_that_tells_nothing(client):
    response = client.get("/fail/bug")
    assert response.status_code == 500
    assert "KeyError" not in json.dumps(problem(response))


def test_a_database_that_is_down_is_a_503_that_says_when_to_try_again(client):
    response = client.get("/fail/database")
    assert problem(response)["status"] == 503
    assert response.headers["Retry-After"] == "2"


def test_a_commit_whose_outcome_nobody_knows_is_a_504(client):
    response = client.get("/fail/commit")
    assert problem(response)["status"] == 504
    assert response.headers["Retry-After"] == "2"


def test_a_body_that_cannot_be_read_is_a_400(client):
    assert problem(client.get("/fail/chunk"))["errors"][0]["field"] == "(body)"


def test_unknown_paths_and_methods_are_problems(client):
    assert problem(client.get("/nowhere"))["status"] == 404
    response = client.get("/echo")
    assert problem(response)["status"] == 405
    assert set(response.headers["Allow"].split(", ")) == {"OPTIONS", "POST"}


@pytest.mark.parametrize("kind", ["application/json", "application/json; charset=utf-8", "Application/JSON"])
def test_json_is_read(client, kind):
    response = client.post("/echo", data=b'{"a": [1, "\xc3\xa9"]}', content_type=kind)
    assert response.json["got"] == {"a": [1, "é"]}


@pytest.mark.parametrize("kind", [None, "text/plain", "application/x-www-form-urlencoded", "application/jsonp"])
def test_another_media_type_is_a_415(client, kind):
    assert problem(client.post("/echo", data=b"{}", content_type=kind))["status"] == 415


BROKEN = [
    b"",
    b"{",
    b"{'a': 1}",
    b'{"a": 1} x',
    b"NaN",
    b'{"a": Infinity}',
    b'"\xff"',
    b'"\\ud800"',
    b"[" * 5000 + b"]" * 5000,
    b"1" + b"0" * 5000,
    b"\xef\xbb\xbf{}",
    "{}".encode("utf-16"),
]


@pytest.mark.parametrize("data", BROKEN, ids=range(len(BROKEN)))
def test_what_is_not_json_is_a_400(client, data):
    body = problem(client.post("/echo", data=data, content_type="application/json"))
    assert (body["status"], body["errors"][0]["field"]) == (400, "(body)")


def test_bodies_up_to_64_kib_are_read_and_longer_ones_are_a_413(client):
    fits = json.dumps("x" * (MAX_BODY - 2))
    assert client.post("/echo", data=fits, content_type="application/json").status_code == 200
    response = client.post("/echo", data=fits + " ", content_type="application/json")
    assert problem(response)["status"] == 413


@pytest.mark.parametrize(("size", "status"), [(MAX_BODY, 200), (MAX_BODY + 1, 413), (2 * MAX_BODY, 413)])
def test_a_body_that_does_not_say_its_length_has_the_same_limit(client, size, status):
    padded = io.BytesIO(b"{}".ljust(size))
    chunked = {"environ_overrides": {"wsgi.input_terminated": True, "wsgi.input": padded}}
    response = client.post(
        "/echo", content_type="application/json", headers={"Transfer-Encoding": "chunked"}, **chunked
    )
    assert response.status_code == status


def test_page_requests(client):
    assert client.get("/page").json == {"limit": 100, "after": ""}
    assert client.get("/page?limit=7&after=o1&colour=red").json == {
        "limit": 7,
        "after": "o1",
        "colour": "red",
    }
    assert client.get("/page?limit=1000").json["limit"] == 1000


BAD_LIMITS = ["0", "1001", "-1", "1.5", "many", "", "%D9%A3", "1e2", "000000001" + "9" * 25, "9" * 5000]


@pytest.mark.parametrize("limit", BAD_LIMITS)
def test_a_bad_limit_is_a_400(client, limit):
    assert problem(client.get(f"/page?limit={limit}"))["errors"][0]["field"] == "limit"


def test_an_unknown_filter_is_a_400(client):
    assert problem(client.get("/page?size=1"))["errors"][0]["field"] == "size"


@pytest.mark.parametrize("address", ["/page?after=%00", "/page?colour=a%00b", "/about/o%00"])
def test_an_address_with_nul_is_a_400(client, address):
    """PostgreSQL knows no NUL in text, and would otherwise raise."""
    response = client.open(address, method="POST" if "about" in address else "GET")
    assert problem(response)["errors"][0]["field"] == "(address)"


def test_a_body_with_a_byte_order_mark_is_told_so(client):
    response = client.post("/echo", data=b"\xef\xbb\xbf{}", content_type="application/json")
    assert "it begins with a byte order mark" in problem(response)["errors"][0]["why"]


def test_a_full_page_says_where_the_next_begins():
    rows = [{"order_id": "o1"}, {"order_id": "o2"}]
    assert listing("orders", rows, 2) == {"orders": rows, "next": "o2"}
    assert listing("orders", rows, 3) == {"orders": rows, "next": None}
    assert listing("orders", [], 3) == {"orders": [], "next": None}


def test_health_is_about_the_process_and_readiness_about_what_it_needs(client, oven):
    assert client.get("/ready").json == {"status": "ready", "service": "cafe", "checks": {"oven": "ok"}}
    oven.broken = True
    response = client.get("/ready")
    assert (response.status_code, response.json["status"]) == (503, "not ready")
    assert response.json["checks"] == {"oven": "ConnectionError: gone"}
    alive = client.get("/health").json
    assert (alive["status"], alive["service"]) == ("ok", "cafe")
    assert alive["versions"] | {"Python": platform.python_version(), "flask": version("flask")} == alive["versions"]


def test_a_check_that_does_not_answer_is_named_and_does_not_keep_the_others_from_it(oven):
    free = threading.Event()
    part = Checked(oven=oven.check, till=lambda: free.wait(60), door=free.wait)
    app = create_service("cafe", faults=Faults(ANSWERING), parts=[part])
    client = app.test_client()
    checks = client.get("/ready").json["checks"]
    assert checks["oven"] == "ok"
    assert checks["till"].startswith("TimeoutError: no answer for ")
    assert checks["door"].startswith("TimeoutError: no answer for ")
    free.set()


class Lying(contextlib.nullcontext):
    """A database that is down or does not answer."""

    def __init__(self, trouble) -> None:
        super().__init__()
        self._trouble = trouble

    def reading(self):
        self._trouble()
        return self


def test_a_gauge_that_cannot_be_read_is_no_number_and_the_others_are_shown(app, client):
    free = threading.Event()

    def down() -> None:
        raise DatabaseDown("away")

    add_gauge(app, Lying(down), "down", "", lambda _: 1)
    add_gauge(app, Lying(free.wait), "late", "", lambda _: 1)
    add_gauge(app, Lying(lambda: None), "fine", "", lambda _: 7)
    shown = client.get("/metrics").text
    free.set()
    assert {"down NaN", "late NaN", "fine 7.0"} <= set(shown.splitlines())


@pytest.mark.parametrize("method", ["BREW", "X" * 200, "PROPFIND"])
def test_a_method_is_no_label_of_its_own(client, method):
    client.open("/health", method=method)
    text = client.get("/metrics").text
    assert 'method="other",status="405"' in text
    assert method not in text


def test_metrics_count_requests_by_status(client):
    client.post("/echo", json={})
    client.get("/fail/error")
    client.get("/fail/error")
    response = client.get("/metrics")
    assert response.content_type.startswith("text/plain")
    samples = {
        (sample.labels["endpoint"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(response.text)
        for sample in family.samples
        if sample.name == "http_requests_total"
    }
    assert samples == {("echo", "200"): 1.0, ("fail", "409"): 2.0}


def test_one_json_line_a_request(client, capsys):
    logging.getLogger("campus").handlers[0].setStream(sys.stderr)
    client.post("/about/o7", headers={"X-Request-ID": "r7"})
    (line,) = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert line["ms"] >= 0
    assert {key: line[key] for key in ("service", "message", "request_id", "order_id", "status", "path")} == {
        "service": "cafe",
        "message": "request",
        "request_id": "r7",
        "order_id": "o7",
        "status": 409,
        "path": "/about/o7",
    }


def is_closed(connection: socket.socket) -> bool:
    readable, _, _ = select.select([connection], [], [], 5)
    return bool(readable) and connection.recv(1) == b""


def test_drop_closes_the_connection(client):
    server_end, client_end = socket.socketpair()
    with server_end, client_end:
        client.get("/fail/drop", environ_overrides={"gunicorn.socket": server_end})
        assert is_closed(client_end)


def test_hang_says_nothing_until_the_caller_leaves(client, wait_until):
    server_end, client_end = socket.socketpair()
    with server_end, client_end:
        overrides = {"environ_overrides": {"gunicorn.socket": server_end}}
        request = threading.Thread(target=client.get, args=("/fail/hang",), kwargs=overrides)
        request.start()
        client_end.send(b"more")
        wait_until(
            lambda: not select.select([server_end], [], [], 0)[0]
        )  # it is read, else waiting for more is no wait
        assert request.is_alive()
        client_end.close()
        wait_until(lambda: not request.is_alive())


def test_configure_shows_merges_and_resets(client):
    assert client.post("/configure", json={"delay": 1}).json["status"] == "configured"
    assert client.post("/configure", json={"seed": 3}).json["config"]["delay"] == 1.0
    shown = client.get("/configure").json["config"]
    assert (shown["delay"], shown["seed"]) == (1.0, 3)
    assert client.delete("/configure").json["config"]["delay"] == 0.0
    assert client.delete("/configure").status_code == 200


@pytest.mark.parametrize("sent", [None, "Bearer wrong", "Bearer ", "secret", "Basic secret", "bearer secret2", "é"])
@pytest.mark.parametrize("method", ["GET", "POST", "DELETE"])
def test_configure_can_need_a_token(monkeypatch, method, sent):
    monkeypatch.setenv("CONFIGURE_TOKEN", "secret")
    faults = Faults(ANSWERING)
    faults.configure({"delay": 9})
    client = create_service("cafe", faults=faults, parts=[]).test_client()
    headers = {} if sent is None else {"Authorization": sent}
    response = client.open("/configure", method=method, json={"delay": 1}, headers=headers)
    assert problem(response)["status"] == 401
    assert response.headers["WWW-Authenticate"] == "Bearer"
    assert faults.show()["delay"] == 9.0


def test_the_right_token_is_accepted(monkeypatch):
    monkeypatch.setenv("CONFIGURE_TOKEN", "secret")
    client = create_service("cafe", faults=Faults(ANSWERING), parts=[]).test_client()
    response = client.post("/configure", json={"delay": 1}, headers={"Authorization": "Bearer secret"})
    assert response.json["config"]["delay"] == 1.0


PAGES = {
    "another host": {"Origin": "http://evil.example"},
    "another port": {"Origin": "http://localhost:9999"},
    "no origin at all": {"Origin": "null"},
    "cross-site": {"Sec-Fetch-Site": "cross-site"},
    "same site, another port": {"Sec-Fetch-Site": "same-site"},
    "a name that points here": {"Host": "evil.example", "Origin": "http://evil.example"},
}


@pytest.mark.parametrize("headers", PAGES.values(), ids=PAGES)
@pytest.mark.parametrize("call", [("POST", "/configure"), ("DELETE", "/configure"), ("POST", "/echo")])
def test_a_page_from_elsewhere_changes_nothing(client, call, headers):
    client.post("/configure", json={"delay": 1})
    method, path = call
    answer = client.open(path, method=method, json={"delay": 2}, headers=headers)
    assert (answer.status_code, answer.json["type"]) == (403, "urn:campus:problem:other-origin")
    assert client.get("/configure", headers=headers).json["config"]["delay"] == 1


@pytest.mark.parametrize("headers", [{}, {"Origin": "http://localhost", "Sec-Fetch-Site": "same-origin"},
                                     {"Host": "127.0.0.1:8000", "Origin": "http://127.0.0.1:8000"}])  # fmt: skip
def test_programs_and_the_services_own_page_are_served(client, headers):
    assert client.post("/echo", json=1, headers=headers).status_code == 200


def test_a_browser_gets_a_page_with_links_and_a_program_gets_json(client):
    page = client.get("/", headers={"Accept": "text/html,*/*;q=0.8"})
    assert page.mimetype == "text/html"
    assert '<a href="/openapi.json">' in page.text
    assert client.get("/").json["documents"] == ["/openapi.json"]
