"""The three services of Part A behind Flask's test client; the order service has fake services."""

import functools
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any

import inventory_service.app
import notification_service.app
import order_service.app
import pytest
from campus.faults import Faults
from campus.lifecycle import Part
from campus.problems import CONTENT_TYPE
from campus.service_client import Reply
from flask.testing import FlaskClient
from testing.fakes import FakeClock
from testing.postgres import cluster as cluster

AT = "2026-01-31T12:00:00.000001Z"
STOCK = {"burger": 5, "fries": 5}
APPS = {"order": order_service.app, "inventory": inventory_service.app, "notification": notification_service.app}


@dataclass
class FakeService(Part):
    """Another service: records its calls and gives the answer set for each path; an exception is raised.

    An answer may also be a function of the body, or a list of answers to be given one after the other.
    """

    answers: dict[str, Any]
    calls: list[SimpleNamespace] = field(default_factory=list)

    def post(self, path: str, body: Any, *, timeout: float, request_id: str) -> Reply:
        json.dumps(body)
        return self._answer(SimpleNamespace(path=path, body=body, timeout=timeout, request_id=request_id))

    def get(self, path: str, *, timeout: float, request_id: str) -> Reply:
        return self._answer(SimpleNamespace(path=path, body=None, timeout=timeout, request_id=request_id))

    @property
    def paths(self) -> list[str]:
        """The first part of the path of each call."""
        return ["/" + call.path.split("/")[1] for call in self.calls]

    def _answer(self, call: SimpleNamespace) -> Reply:
        self.calls.append(call)
        answer = self.answers[self.paths[-1]]
        if isinstance(answer, list):
            answer = answer.pop(0)
        if callable(answer) and not isinstance(answer, type):
            answer = answer(call.body)
        if isinstance(answer, Reply):
            return answer
        raise answer


@pytest.fixture
def inventory() -> FakeService:
    """An inventory that reserves everything and, asked about a reservation, has never heard of it."""
    return FakeService(
        {
            "/reserve": Reply(200, {"status": "reserved", "at": AT}),
            "/release": Reply(200, {"status": "released", "at": AT}),
            "/reservations": Reply(404, {"status": 404}),
        }
    )


@pytest.fixture
def notification() -> FakeService:
    """A notification service that sends everything."""
    return FakeService({"/send": Reply(200, {"at": AT})})


@pytest.fixture
def clock() -> FakeClock:
    return FakeClock()


@pytest.fixture
def make(tmp_path, monkeypatch, clock, inventory, notification) -> Callable[..., FlaskClient]:
    """A function that makes a service by name, on its own database, on a fake clock, and returns its client."""
    faults = functools.partial(Faults, sleep=clock.sleep, clock=lambda: clock.now, kill=clock.kill)
    for module in APPS.values():
        monkeypatch.setattr(module, "Faults", faults)
    fakes = {"http://inventory": inventory, "http://notification": notification}
    monkeypatch.setattr(order_service.app, "ServiceClient", fakes.__getitem__)
    made = []

    def make_one(name: str, **env: str) -> FlaskClient:
        given = {
            "DATABASE_URL": f"sqlite:///{tmp_path}/{name}.db",
            "INVENTORY_URL": "http://inventory",
            "NOTIFICATION_URL": "http://notification",
            "INITIAL_STOCK": json.dumps(STOCK),
        }
        app = APPS[name].create_app(given | env)
        made.append(app)
        return app.test_client()

    yield make_one
    for app in made:
        app.extensions["campus"].stop()


@dataclass
class Service:
    """One service of the three: how to make it work once, and how to see everything that it remembers."""

    name: str
    client: FlaskClient
    path: str
    body: Callable[[str], dict]
    done: int
    remembered: tuple[str, ...]

    def work(self, subject: str = "o1", **options: Any):
        """Send one good request."""
        return self.client.post(self.path, json=self.body(subject), **options)

    def memory(self) -> list:
        """Return everything that the service would show."""
        return [self.client.get(path).json for path in (*self.remembered, "/configure")]

    def configure(self, **patch: Any):
        return self.client.post("/configure", json=patch)


WORK = {
    "order": ("/order", lambda o: {"item": "burger", "qty": 1, "user_id": o}, 201, ("/orders",)),
    "inventory": (
        "/reserve",
        lambda o: {"order_id": o, "items": [{"sku": "burger", "qty": 1}]},
        200,
        ("/reservations", "/stock"),
    ),
    "notification": ("/send", lambda o: {"order_id": o, "user_id": "u1"}, 200, ("/notifications",)),
}


@pytest.fixture
def service_of(make) -> Callable[[str], Service]:
    """A function that makes one of the three services by name."""
    return lambda name: Service(name, make(name), *WORK[name])


@pytest.fixture(params=sorted(WORK))
def service(request, service_of) -> Service:
    """Each of the three services in turn."""
    return service_of(request.param)


@pytest.fixture
def orders(make) -> FlaskClient:
    """The order service."""
    return make("order")


def problem_of(response) -> dict:
    """Return the problem in a response that must be one."""
    assert response.content_type == CONTENT_TYPE, response.text
    body = response.get_json(force=True)
    assert body["status"] == response.status_code
    assert body["request_id"] == response.headers["X-Request-ID"]
    assert {"type", "title", "detail"} <= set(body)
    return body


@pytest.fixture
def problem() -> Callable[..., dict]:
    """A function that returns the problem in a response, and fails if it is none."""
    return problem_of
