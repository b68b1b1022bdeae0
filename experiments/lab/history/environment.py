"""Where a run takes place: the commit, the machine, the versions."""

import re
from collections.abc import Mapping
from importlib.metadata import version
from typing import Any

from lab import client
from lab.brokers import rabbitmq
from lab.runtime.lifecycle import Runtime
from lab.services import Service, by_kind
from lab.version import CODE, Commit, commit


def environment(runtime: Runtime, services: Mapping[str, Service]) -> dict[str, Any]:
    """Return where a run takes place: the commit, the machine of the services, and what really runs there.

    `versions` are those that the services say of themselves, and that of the load generator's client; `broker` is the
    broker's own. With Docker there are also `engine`, the versions of Docker, and `images`, the ids of the images. The
    services must be up.
    """
    kinds = by_kind(services)
    told = client.try_get(f"{kinds['order'].url}/health", timeout=5.0)
    broker = {}
    if "rabbitmq" in kinds:
        broker = {"RabbitMQ": rabbitmq.version(kinds["rabbitmq"])}
    if "kafka" in kinds:  # which does not tell its release to clients
        found = (re.fullmatch(r"kafka-clients-(.+)\.jar", name) for name in runtime.kafka_jars(kinds["kafka"]))
        broker = {"Kafka": next((match[1] for match in found if match), "unknown")}
    return {
        "commit": commit_of_run(),
        "runtime": runtime.name,
        **runtime.facts(services),
        "versions": (told.json()["versions"] if told is not None else {}) | {"aiohttp": version("aiohttp")},
        **({"broker": broker} if broker else {}),
    }


def commit_of_run() -> str:
    """Return the commit, with `+changes` when the code differs from it."""
    found = code()
    return f"{found.id}{'+changes' if found.changes else ''}" or "none"


def code() -> Commit:
    """Return the commit, and what differs from it; results, pages, and what is new beside the code do not count."""
    return commit("results", "*.md", new_in=CODE)


def warning() -> str:
    """Return what a run is told before it begins, where its commit does not say which code it is; else nothing."""
    found, said = code(), "so grading cannot tell which code made this run, and it earns no points"
    if not found.id:
        return f"there is no commit ({found.why}), {said}"
    if not found.changes:
        return ""
    shown = ", ".join(found.changes[:5]) + (f" and {len(found.changes) - 5} more" if found.changes[5:] else "")
    return f"not committed: {shown}; {said}. Commit first, or remove them"
