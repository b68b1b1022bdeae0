"""What analytics reports of the orders, and a digest by which two reports are compared.

Who counts the same events, in whatever order and however often, reports the same digest.
"""

import hashlib
import json
from collections.abc import Mapping
from typing import Any


def minute(at: str) -> str:
    """Return the minute of an instant such as `2026-01-31T12:00:00.000001Z`: `2026-01-31T12:00`."""
    return at[:16]


def metrics(orders_per_minute: Mapping[str, int], verdicts: int, failed: int, *, now: float) -> dict[str, Any]:
    """Return the report of these counts: orders placed by minute, orders with a verdict, and those that failed.

    `now` is in seconds since the epoch.
    """
    counted = {
        "totalOrdersSeen": sum(orders_per_minute.values()),
        "totalInventoryEvents": verdicts,
        "inventoryFailed": failed,
        "failureRate": round(failed / verdicts, 6) if verdicts else 0.0,
        "ordersPerMinuteBucket": dict(sorted(orders_per_minute.items())),
    }
    return counted | {"generatedAtUnix": int(now), "digest": digest(counted)}


def digest(report: Mapping[str, Any]) -> str:
    """Return the SHA-256 of what a report says: as JSON with sorted keys, without its time and its own digest."""
    said = {key: value for key, value in report.items() if key not in ("generatedAtUnix", "digest")}
    return hashlib.sha256(json.dumps(said, sort_keys=True, separators=(",", ":")).encode()).hexdigest()
