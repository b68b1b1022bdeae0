"""What the services wrote of some orders into their logs (`campus.trace`), as lines of a trace.

A line is `{"at", "service", "kind", "order_id", "what", …}`: `at` in seconds since the run began, and `to` or `by` the
name of another service, of the broker, or of the client.
"""

import gzip
import json
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from itertools import islice
from typing import Any

from lab.services import Service

Line = dict[str, Any]

ALL_LINES = 1_000_000  # of a log
MAX_BYTES = 40_000  # of the compressed file
FIRST = 20  # orders of each load that are kept whatever becomes of them
LOGGED = {"trace": "kind", "what": "what", "order_id": "order_id", "to": "to", "by": "by", "event_id": "event_id"}
MORE = ("status", "seconds", "touched")


def collect(services: Mapping[str, Service], logs: Callable[[Service], str], began: float) -> list[Line]:
    """Return all lines that the services of a part have logged, in order of time. `began` is by the monotonic clock."""
    names = {str(service.port): name for name, service in services.items()}
    lines = []
    for name, service in services.items():
        if not service.is_broker:
            lines += [_line(name, logged, names, began) for logged in logged_lines(logs(service))]
    return sorted(lines, key=lambda line: line["at"])


def logged_lines(log: str) -> Iterator[dict[str, Any]]:
    """Yield the lines of a trace that a log holds."""
    for line in log.splitlines():
        if '"trace"' in line:
            try:
                logged = json.loads(line[line.index("{") :])
            except ValueError:  # cut off when its process was killed
                continue
            if "monotonic_ns" in logged:
                yield logged


def fit(lines: list[Line], first: Mapping[str, Iterable[str]]) -> list[Line]:
    """Return as many orders as fit into MAX_BYTES: the first of each load, then those that a fault touched.

    `first` holds the ids of each load's orders, in the order in which they were placed.
    """
    by_order: dict[str, list[Line]] = defaultdict(list)
    for line in lines:
        by_order[line["order_id"]].append(line)
    whole = {order_id for order_id, its in by_order.items() if any(line["service"] == "order" for line in its)}
    ordinary = [n for ids in first.values() for n in islice((n for n in ids if n in whole), FIRST)]
    touched = [order_id for order_id, its in by_order.items() if is_disturbed(its)]
    wanted = list(dict.fromkeys([*ordinary, *touched]))

    def of_first(count: int) -> list[Line]:
        kept = set(wanted[:count])
        return [line for line in lines if line["order_id"] in kept]

    fits = bisect_right(range(len(wanted) + 1), MAX_BYTES, key=lambda count: _size(of_first(count))) - 1
    return of_first(max(0, fits))


def is_disturbed(lines: Iterable[Line]) -> bool:
    """Return whether a fault touched the order whose lines these are."""
    seen: set[tuple[str, ...]] = set()
    for line in lines:
        delivered = (line["service"], line["what"], line.get("event_id", ""))
        if line.get("touched") or line["kind"] == "fault" or (line["kind"] == "delivery" and delivered in seen):
            return True
        seen.add(delivered)
    return False


def _line(service: str, logged: dict[str, Any], names: Mapping[str, str], began: float) -> Line:
    line: Line = {"at": round(logged["monotonic_ns"] / 1e9 - began, 6), "service": service}
    line |= {name: logged[key] for key, name in LOGGED.items() if key in logged}
    line |= {name: logged[name] for name in MORE if logged.get(name)}
    for other in ("to", "by"):
        if "://" in line.get(other, ""):  # the address of a service
            line[other] = names.get(line[other].rstrip("/").rsplit(":", 1)[-1], line[other])
    return line


def _size(lines: list[Line]) -> int:
    return len(gzip.compress("\n".join(json.dumps(line, separators=(",", ":")) for line in lines).encode()))
