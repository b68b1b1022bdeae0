"""Waits until every order is in a final state and no message waits."""

import time

from lab import client
from lab.brokers import base
from lab.errors import LabError
from lab.history import held
from lab.history.recorder import RunRecorder
from lab.services import Service, by_kind, services_of

QUIET_SECONDS = 0.3
OPEN_STATES = ("placed", "unknown", "reserved")


def settle(recorder: RunRecorder, seconds: float) -> bool:
    """Wait until every order is in a final state and no message waits; note how long it took, and whether it did."""
    began = recorder.now()
    services = by_kind(services_of(recorder.head["part"]))
    url = services["order"].url
    done = False
    while not done and recorder.now() - began < seconds:
        answers = (client.try_get(f"{url}/orders?status={status}&limit=1", timeout=5.0) for status in OPEN_STATES)
        final = all(answer and not answer.json()["orders"] for answer in answers)  # an answer of 4xx or 5xx is false
        done = final and _quiet(services)
        if not done:
            time.sleep(0.2)
    recorder.record(type="settled", done=done, took=round(recorder.now() - began, 3))
    return done


def _quiet(services: dict[str, Service]) -> bool:
    """Return whether nothing waits in the queues, and consumers have been idle long enough to hold nothing either."""
    if (broker := base.broker_of(services)) is None:
        return True
    first = _traffic(services, broker)
    time.sleep(QUIET_SECONDS)
    return first is not None and first == _traffic(services, broker)


def _traffic(services: dict[str, Service], broker: Service) -> dict[str, int] | None:
    """Return how many messages each consumer has done; None while a message waits, or when it is not known."""
    try:
        waiting = base.waiting(broker)
    except LabError:
        return None
    if waiting or client.metric(services["order"].url, "outbox_depth") != 0:
        return None
    return held.handled(services)
