"""`GET /health` and `GET /ready`: whether a service lives, and whether it can work. Both answer at once."""

import platform
from collections.abc import Callable, Mapping
from functools import cache
from importlib.metadata import version
from typing import Any

from flask import Flask

from campus.bounded import Bounded

PACKAGES = ("flask", "gunicorn", "requests", "urllib3", "sqlalchemy", "pydantic", "pika", "kafka-python")
CHECK_SECONDS = 0.7  # what does not answer for so long is not ready


def add_health(app: Flask, name: str, checks: Mapping[str, Callable[[], None]]) -> None:
    """Add both; `checks` are those of the service's parts."""

    @app.get("/health")
    def health() -> dict[str, Any]:
        """Say that the process is alive, and what it runs with."""
        return {"status": "ok", "service": name, "versions": versions()}

    bounded = {what: Bounded(check, CHECK_SECONDS) for what, check in checks.items()}

    @app.get("/ready")
    def readiness() -> tuple[dict[str, Any], int]:
        """Say whether the service can work, and what is missing if not."""
        calls = {what: check.begin() for what, check in bounded.items()}
        answers = {what: _try(call) for what, call in calls.items()}
        good = all(answer == "ok" for answer in answers.values())
        return {
            "status": "ready" if good else "not ready",
            "service": name,
            "checks": answers,
        }, 200 if good else 503


@cache
def versions() -> dict[str, str]:
    """Return the versions of Python and of the packages that a service uses."""
    return {"Python": platform.python_version()} | {package: version(package) for package in PACKAGES}


def _try(check: Callable[[], None]) -> str:
    try:
        check()
    except Exception as error:  # a check says by raising what is wrong
        return f"{type(error).__name__}: {error}"
    return "ok"
