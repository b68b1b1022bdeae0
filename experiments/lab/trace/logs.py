"""What the logs of all services say of one order: the lines that carry its id, or the id of its request."""

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any

Line = dict[str, Any]


def of_order(logs: Mapping[str, str], order: str) -> list[Line]:
    """Return the lines about an order (its id, or the beginning of it) in order of time; `of` names the service.

    `logs` holds the text of each service's log.
    """
    named = [line for _, line in _lines_with(logs, [order]) if str(line.get("order_id", "")).startswith(order)]
    ids = {line[key] for line in named for key in ("order_id", "request_id") if line.get(key)}
    mine = (
        line | {"of": service}
        for service, line in (_lines_with(logs, ids) if ids else ())
        if line.get("order_id") in ids or line.get("request_id") in ids
    )
    return sorted(mine, key=lambda line: str(line.get("at")))


def _lines_with(logs: Mapping[str, str], words: Iterable[str]) -> Iterator[tuple[str, Line]]:
    """Yield each line of JSON that holds one of these words, with its service."""
    wanted = [*words]
    for service, log in logs.items():
        for text in log.splitlines():
            if any(word in text for word in wanted):
                try:
                    line = json.loads(text)
                except ValueError:  # not of ours, or cut off
                    continue
                if isinstance(line, dict):
                    yield service, line
