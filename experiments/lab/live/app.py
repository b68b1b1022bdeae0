"""The page `./lab live`: a Flask app on loopback. What it shows goes out as server-sent events; what changes anything
needs the token of the page, and must come from the page itself."""

import hmac
import json
import secrets
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from flask import Flask, Response, abort, render_template, request

from lab.errors import LabError
from lab.faults import inject
from lab.live import one_order, runs
from lab.live.load import Loads
from lab.live.page import SCRIPTS
from lab.live.prediction import Prediction
from lab.live.watcher import EVERY_SECONDS, Watcher
from lab.paths import PARTS, ROOT
from lab.runtime import lifecycle

AWAY_SECONDS, FRESH_SECONDS = 10.0, 1.0  # a page that is loaded again is not away
VERBS = ("start", "kill", "pause", "unpause")
POLICY = "default-src 'self'; img-src 'self' data:; style-src 'self' 'unsafe-inline'; frame-ancestors 'none'"


class Live:
    """What the page is about: a watcher of each part, the loads and the prediction that run."""

    def __init__(self) -> None:
        self.token = secrets.token_urlsafe(24)
        self.runtime = lifecycle.choose()
        there = [part for part in PARTS if (ROOT / part / "docker-compose.yml").exists()]
        self.watchers = {part: Watcher(part, self.runtime, inject.configured) for part in there}
        self.loads = Loads()
        self.prediction = Prediction(self.watchers, self.loads, inject.act)
        self._readers, self._lock = 0, threading.Lock()
        self._asked_at = float("-inf")

    def start(self) -> None:
        """Begin to watch."""
        for watcher in self.watchers.values():
            watcher.start(self.wanted)

    def wanted(self) -> bool:
        """Return whether to look: only while a browser shows the page, or a load of the page runs."""
        runs = any(self.loads.rates.values()) or self.prediction.shown.get("state") == "runs"
        return runs or self._readers > 0 or time.monotonic() < self._asked_at + AWAY_SECONDS

    def note_request(self) -> None:
        """Note that a browser, or a program, asked for something."""
        self._asked_at = time.monotonic()

    @contextmanager
    def reader(self) -> Iterator[None]:
        """Count a browser that reads the events, for as long as it does."""
        with self._lock:
            self._readers += 1
        try:
            yield
        finally:
            with self._lock:
                self._readers -= 1
            self.note_request()

    def shown(self) -> dict[str, Any]:
        """Return what the page shows now."""
        parts = [watcher.shown for watcher in self.watchers.values()]
        return {"now": time.time(), "parts": parts, "rates": self.loads.rates, "prediction": self.prediction.shown}

    def up(self) -> list[str]:
        """Return the parts that are up."""
        return [part for part, watcher in self.watchers.items() if watcher.shown["up"]]


def create_app(live: Live, port: int) -> Flask:
    """Return the app; `port` is where it will listen: a request for another address is refused."""
    app = Flask(__name__, template_folder="templates", static_folder="static")
    ours = {f"127.0.0.1:{port}", f"localhost:{port}"}

    @app.before_request
    def check() -> None:
        """Refuse what a page from elsewhere could send: another name for this address, another origin, no token."""
        if request.host not in ours:
            abort(403, "ask for http://127.0.0.1")
        live.note_request()
        if request.method in ("GET", "HEAD"):
            return
        site, origin = request.headers.get("Sec-Fetch-Site", "same-origin"), request.headers.get("Origin")
        if site != "same-origin" or (origin is not None and origin.removeprefix("http://") != request.host):
            abort(403, "this page only")
        if not hmac.compare_digest(request.headers.get("X-Live-Token", "").encode(), live.token.encode()):
            abort(403, "the token is missing: load the page again")

    @app.after_request
    def protect(response: Response) -> Response:
        response.headers |= {"Content-Security-Policy": POLICY, "X-Content-Type-Options": "nosniff",
                             "Referrer-Policy": "no-referrer", "Cross-Origin-Resource-Policy": "same-origin",
                             "Cache-Control": "no-store"}  # fmt: skip
        return response

    @app.errorhandler(LabError)
    def trouble(error: LabError) -> tuple[dict[str, str], int]:
        return {"error": str(error), "hint": error.hint}, 409

    @app.get("/")
    def page() -> str:
        return render_template("live.html", token=live.token, scripts=SCRIPTS)

    @app.get("/events")
    def events() -> Response:
        """Send the seconds so far, and then each look at the parts, which are two a second."""

        def stream() -> Iterator[str]:
            history = {part: [*watcher.seconds] for part, watcher in live.watchers.items()}
            yield f"event: history\ndata: {json.dumps(history)}\n\n"
            sent = [watcher.shown["at"] for watcher in live.watchers.values()]
            if max(sent, default=0.0) > time.time() - FRESH_SECONDS:
                sent = []  # what was seen last is new enough to begin with
            while True:
                shape = live.shown()
                looks = [part["at"] for part in shape["parts"]]
                if looks != sent:
                    shape["seconds"] = {part: [*w.seconds][-10:] for part, w in live.watchers.items()}
                    yield f"data: {json.dumps(shape)}\n\n"
                    sent = looks
                time.sleep(EVERY_SECONDS / 4)

        def counted() -> Iterator[str]:
            with live.reader():
                yield from stream()

        return Response(counted(), mimetype="text/event-stream")

    @app.post("/api/fault")
    def fault() -> dict[str, Any]:
        """Do to a service what `{service, verb}`, `{service, settings}` or `{service, reset}` says."""
        body = request.get_json()
        found, config = lifecycle.find_all(live.runtime, body["service"]), {}
        try:
            for service in found:  # all replicas
                if body.get("verb") in VERBS:
                    inject.act(body["verb"], service)
                else:
                    config = (
                        inject.reset(service)
                        if body.get("reset")
                        else inject.configure(service, dict(body["settings"]))
                    )
            return {"done": body["verb"]} if body.get("verb") in VERBS else {"config": config}
        finally:
            live.watchers[found[0].part].forget_conditions()

    @app.post("/api/load")
    def load() -> dict[str, Any]:
        """Place `{one: PART}`, set `{rate, parts}`, or send `{count, part}` at once."""
        body = request.get_json()
        if "one" in body:
            return live.loads.order_one(body["one"])
        if "count" in body:
            live.loads.at_once(body["part"], int(body["count"]))
            return {"sent": body["count"]}
        for part in live.up() if body.get("parts") is None else body["parts"]:
            live.loads.set_rate(part, float(body["rate"]))
        return {"rates": live.loads.rates}

    @app.post("/api/predict")
    def predict() -> dict[str, Any]:
        """Run what `{part, seconds, rate, predicted}` says, and compare."""
        body = request.get_json()
        live.prediction.begin(body["part"], float(body["seconds"]), float(body["rate"]), float(body["predicted"]))
        return live.prediction.shown

    @app.get("/api/order/<order_id>")
    def order(order_id: str) -> dict[str, Any]:
        name = request.args.get("run")
        if name:
            return runs.one_order(runs.folder_of(name), order_id)
        return one_order.find(order_id, live.runtime, {part: live.watchers[part].kills for part in live.up()})

    @app.get("/api/runs")
    def all_runs() -> dict[str, Any]:
        return {"runs": runs.listed()}

    @app.get("/api/run/<path:name>")
    def run(name: str) -> dict[str, Any]:
        return runs.play(runs.folder_of(name))

    @app.get("/api/report/<path:name>")
    def report(name: str) -> Response:
        text = (runs.folder_of(name) / "report.md").read_text()
        return Response(text, mimetype="text/plain")

    return app
