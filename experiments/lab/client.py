"""The laboratory's own calls to the services: to configure, to look, to collect. Never through a proxy."""

import functools
import math
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

from lab.errors import LabError

if TYPE_CHECKING:
    import requests
    from prometheus_client.samples import Sample


def call(method: str, url: str, *, timeout: float = 15.0, **options: Any) -> "requests.Response":
    """Call a service and return its reply, whatever the status. Raises LabError when there is none."""
    try:
        return _session().request(method, url, timeout=timeout, **options)
    except OSError as error:  # which requests' exceptions are
        raise LabError(f"{url} does not answer ({type(error).__name__})", "./lab status shows what runs") from None


def try_get(url: str, *, timeout: float) -> "requests.Response | None":
    """GET, or None when no answer comes in time."""
    try:
        return _session().get(url, timeout=timeout)
    except OSError:
        return None


def each_row(url: str, name: str, since: str = "") -> Iterator[dict[str, Any]]:
    """Yield every row of a list that comes in pages, or those after one. Raises LabError."""
    after: str | None = since
    while after is not None:
        page = call("GET", url, params={"limit": 1000, "after": after}).json()
        yield from page[name]
        after = page["next"]


def metrics(url: str, *, timeout: float = 2.0) -> "list[Sample] | None":
    """Return the samples of a service's `GET /metrics`; None when it does not answer."""
    from prometheus_client.parser import text_string_to_metric_families

    answer = try_get(f"{url}/metrics", timeout=timeout)
    if answer is None or answer.status_code != 200:
        return None
    return [sample for family in text_string_to_metric_families(answer.text) for sample in family.samples]


def metric(url: str, name: str, **labels: str) -> float | None:
    """Return a figure of a service's metrics, added up over what has these labels; None when it is not known."""
    samples = metrics(url)
    if samples is None:
        return None
    total = sum(s.value for s in samples if s.name == name and labels.items() <= s.labels.items())
    return None if math.isnan(total) else total


def hang_up() -> None:
    """Close the kept connections: a service that is told to stop waits for them."""
    _session().close()


@functools.cache
def _session() -> "requests.Session":
    import requests  # here, as it is half the start of a command, and most commands call no service

    session = requests.Session()
    session.trust_env = False
    return session
