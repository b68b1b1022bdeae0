"""The laboratory's own calls to the services: to configure, to look, to collect. Never through a proxy."""

from typing import Any

import requests

from lab.places import LabError

_session = requests.Session()
_session.trust_env = False


def call(method: str, url: str, *, timeout: float = 15.0, **options: Any) -> requests.Response:
    """Call a service and return its reply, whatever the status. Raises LabError when there is none."""
    try:
        return _session.request(method, url, timeout=timeout, **options)
    except requests.RequestException as error:
        raise LabError(f"{url} does not answer ({type(error).__name__})", "./lab status shows what runs") from None


def try_get(url: str, *, timeout: float) -> requests.Response | None:
    """GET, or None when nobody answers in time."""
    try:
        return _session.get(url, timeout=timeout)
    except requests.RequestException:
        return None


def all_pages(url: str, name: str) -> list[dict[str, Any]]:
    """Return every row of a list that comes in pages. Raises LabError."""
    rows: list[dict[str, Any]] = []
    after: str | None = ""
    while after is not None:
        page = call("GET", url, params={"limit": 1000, "after": after}).json()
        rows += page[name]
        after = page["next"]
    return rows
