"""The frame of every service: request ids, one log line a request, errors, health, faults and metrics.

app = create_service("inventory", faults=faults, parts=[database])

@app.post("/reserve")
def reserve(): ...
"""

import contextlib
import functools
import logging
import re
import socket
from collections.abc import Sequence
from typing import Any

from flask import Flask, Request, Response, g, jsonify, request
from flask.json.provider import JSONProvider
from gunicorn.http.errors import ParseException
from prometheus_client import CollectorRegistry, Counter, Histogram, generate_latest
from werkzeug.exceptions import HTTPException

from campus import clock, documents, ids, jsons, logs, trace
from campus.bodies import json_body as json_body  # beside what else a view needs
from campus.configure import add_configure
from campus.database import CommitUnknown, DatabaseDown
from campus.faults import Drop, Faults, Hang
from campus.lifecycle import Lifecycle, Part
from campus.openapi import MAX_PAGE
from campus.orders import Order
from campus.partial_request import MAX_BODY
from campus.problems import CONTENT_TYPE, Problem
from campus.readiness import add_health
from campus.same_origin import check_origin
from campus.schemas import bad_request

log = logging.getLogger("campus")

QUIET = ("health", "readiness")  # health checks ask again and again: logged only when the answer is bad
METHODS = frozenset({"GET", "HEAD", "POST", "PUT", "PATCH", "DELETE", "OPTIONS"})
_REQUEST_ID = re.compile(r"[\x21-\x7e]{1,128}")


class Json(JSONProvider):
    """Flask's JSON by `campus.jsons`."""

    def dumps(self, obj: Any, **_: Any) -> str:
        """Return compact JSON."""
        return jsons.dumps(obj).decode()

    def loads(self, s: str | bytes, **_: Any) -> Any:
        """Return the value. Raises ValueError."""
        return jsons.loads(s)


def create_service(
    name: str,
    *,
    about: str | None = None,
    faults: Faults,
    parts: Sequence[Part],
    registry: CollectorRegistry | None = None,
) -> Flask:
    """Return a Flask app with everything but the service's own endpoints; `about` is what its documents say it is.

    `parts` start and stop with the service. Give the `registry` in which a part has put metrics of its own.
    """
    logs.set_up(name)
    app = Flask(name)
    app.json = Json(app)
    # One more than is allowed: a body of unknown length is cut off there, and one that was cut must not pass for whole.
    app.config["MAX_CONTENT_LENGTH"] = MAX_BODY + 1
    app.extensions["campus"] = lifecycle = Lifecycle(*parts, registry=registry or CollectorRegistry())
    _watch_requests(app, lifecycle.registry)
    _answer_errors(app)
    add_health(app, name, lifecycle.checks)
    add_configure(app, faults)
    documents.add_documents(app, about or name)

    @app.get("/metrics")
    def metrics() -> Response:
        """Show the service's figures, as Prometheus reads them."""
        return Response(generate_latest(lifecycle.registry), 200, _PROMETHEUS)

    return app


_PROMETHEUS = {"Content-Type": "text/plain; version=0.0.4; charset=utf-8"}


def bind_order_id(order_id: str) -> None:
    """Say which order this request is about, for the log and for errors."""
    g.order_id = order_id


def idempotency_key() -> str | None:
    """Return the Idempotency-Key, if there is one. Raises a 400 Problem."""
    key = request.headers.get("Idempotency-Key")
    if key is not None and not (0 < len(key) <= 255 and key.isascii() and key.isprintable()):
        raise bad_request([{"field": "Idempotency-Key", "why": "must be 1 to 255 printable ASCII characters"}])
    return key


def accepted(order: Order) -> tuple[dict[str, Any], int, dict[str, str]]:
    """Answer 202: the order is safe, and where to see what becomes of it. Raises a 409 Problem when it was refused."""
    bind_order_id(order.order_id)
    where = {"Location": f"/orders/{order.order_id}"}
    if order.reason == "injected":
        raise Problem(409, "injected", "The order was refused.", headers=where, order_id=order.order_id)
    return order.as_dict(), 202, where


def page_request(*filters: str) -> dict[str, Any]:
    """Return `limit`, `after` and the given filters from the query. Raises a 400 Problem."""
    unknown = [key for key in request.args if key not in ("limit", "after", *filters)]
    if unknown:
        raise bad_request([{"field": key, "why": "there is no such filter"} for key in unknown])
    limit = request.args.get("limit", "100")
    if not (limit.isascii() and limit.isdigit() and len(limit) < 9 and 1 <= int(limit) <= MAX_PAGE):
        raise bad_request([{"field": "limit", "why": f"must be a number from 1 to {MAX_PAGE}"}])
    values = {name: request.args[name] for name in filters if name in request.args}
    return {"limit": int(limit), "after": request.args.get("after", ""), **values}


def listing(name: str, rows: list[dict[str, Any]], limit: int) -> dict[str, Any]:
    """Return `{name: rows, "next": …}`; `next` is the `after` of the next page, or null on the last one."""
    return {name: rows, "next": rows[-1]["order_id"] if len(rows) == limit else None}


def _watch_requests(app: Flask, registry: CollectorRegistry) -> None:
    labels = ["method", "endpoint", "status"]
    requests = Counter("http_requests", "Requests answered", labels, registry=registry)
    seconds = Histogram("http_request_seconds", "Time to the answer", ["endpoint"], registry=registry)

    @functools.cache
    def meters(method: str, endpoint: str, status: int) -> tuple[Counter, Histogram]:
        return requests.labels(method, endpoint, status), seconds.labels(endpoint)

    def current() -> tuple[Request, Any]:
        """Return what `request` and `g` stand for: each use of one of them looks it up again."""
        proxies: tuple[Any, Any] = (request, g)
        return proxies[0]._get_current_object(), proxies[1]._get_current_object()

    @app.before_request
    def begin() -> None:
        asked, noted = current()
        noted.began = clock.monotonic()
        given = asked.environ.get("HTTP_X_REQUEST_ID", "")
        noted.request_id = given if _REQUEST_ID.fullmatch(given) else ids.new_request_id()
        if "\0" in asked.path or b"%00" in asked.query_string:  # PostgreSQL knows no such text
            raise bad_request([{"field": "(address)", "why": "must not contain NUL"}])
        check_origin(asked)

    @app.after_request
    def end(response: Response) -> Response:
        asked, noted = current()
        response.headers["X-Request-ID"] = noted.request_id
        took = clock.monotonic() - noted.began
        method = asked.method if asked.method in METHODS else "other"  # a label must not take any text of a client
        count, duration = meters(method, asked.endpoint or "none", response.status_code)
        count.inc()
        duration.observe(took)
        if asked.endpoint in QUIET and response.status_code == 200:
            return response
        fields = {
            "request_id": noted.request_id,
            "method": asked.method,
            "path": asked.path,
            "status": response.status_code,
            "ms": round(took * 1000, 3),
        }
        if "order_id" in noted:
            fields["order_id"] = noted.order_id
            trace.request(noted.order_id, f"{asked.method} {asked.path}", response.status_code, took)
        log.info("request", extra={"fields": fields})
        return response


def _answer_errors(app: Flask) -> None:
    @app.errorhandler(Problem)
    def problem(error: Problem) -> Response:
        shape = error.as_dict(request_id=g.request_id)
        if "order_id" in g:
            shape.setdefault("order_id", g.order_id)
        response = jsonify(shape)
        response.status_code, response.content_type = error.status, CONTENT_TYPE
        response.headers.update(error.headers)
        return response

    @app.errorhandler(HTTPException)
    def refused(error: HTTPException) -> Response:
        headers = {key: value for key, value in error.get_headers() if key in ("Allow", "Location")}
        kind = (error.name or "error").lower().replace(" ", "-")
        return problem(Problem(error.code or 500, kind, error.description or "", headers=headers))

    @app.errorhandler(ParseException)
    def unreadable(error: ParseException) -> Response:
        return problem(bad_request([{"field": "(body)", "why": str(error)}]))

    @app.errorhandler(DatabaseDown)
    def database_down(error: DatabaseDown) -> Response:
        log.error("database down: %s", error, extra={"fields": {"request_id": g.request_id}})
        status, detail = 503, "The database does not work; try again later."
        if isinstance(error, CommitUnknown):  # 503 would say that nothing was done
            status, detail = 504, "The connection to the database broke during the commit: the outcome is unknown."
        return problem(Problem(status, "database-down", detail, headers={"Retry-After": "2"}))

    @app.errorhandler(Exception)
    def broken(error: Exception) -> Response:
        log.exception("unexpected error", extra={"fields": {"request_id": g.request_id}})
        return problem(Problem(500, "internal-error", "The service failed; its log says why."))

    @app.errorhandler(Hang)
    def hang(_: Hang) -> Response:
        log.info("request hangs", extra={"fields": {"request_id": g.request_id}})
        _wait_for_caller_to_leave()
        return drop(Drop())

    @app.errorhandler(Drop)
    def drop(_: Drop) -> Response:
        _close_connection()
        return Response(status=500)  # the connection is closed: no client reads it


def _wait_for_caller_to_leave() -> None:
    """Hold the request, and its thread with it, until its caller hangs up or the service stops."""
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        with contextlib.suppress(OSError):
            connection.settimeout(None)
            while connection.recv(65536):  # what it sends meanwhile is read, else this would never wait again
                pass


def _close_connection() -> None:
    connection = request.environ.get("gunicorn.socket")
    if connection is not None:
        with contextlib.suppress(OSError):  # the caller may have closed it first
            connection.shutdown(socket.SHUT_RDWR)
