"""The analytics service over Kafka: counts the orders and verdicts of the log, and reports the metrics."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from broker import asyncapi
from campus.database import Database
from campus.faults import CONSUMING, Faults
from campus.pruning import Pruning
from campus.service import create_service
from flask import Flask
from prometheus_client import CollectorRegistry

from analytics_consumer import counts
from analytics_consumer.analytics_projection import AnalyticsProjection


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the analytics service. `env` holds DATABASE_URL, KAFKA_BOOTSTRAP and METRICS_FILE."""
    database = Database(env.get("DATABASE_URL", "sqlite:///analytics.db"), counts.metadata)
    metrics_file = Path(env.get("METRICS_FILE", "metrics.json"))
    faults = Faults(CONSUMING, points=("before_commit", "after_commit", "after_publish"))
    registry = CollectorRegistry()

    def report() -> dict[str, Any]:
        """Show the metrics."""
        with database.transaction() as tx:
            return counts.report(tx)

    def show() -> None:
        write(metrics_file, report())

    projection = AnalyticsProjection(
        env.get("KAFKA_BOOTSTRAP", "127.0.0.1:8024"), database=database, faults=faults, registry=registry, show=show
    )
    pruning = Pruning(database, counts.seen)
    app = create_service(
        "analytics", about=__doc__, faults=faults, parts=[database, projection, pruning], registry=registry
    )
    app.get("/report")(report)
    app.get("/asyncapi.json")(asyncapi.document)
    return app


def write(file: Path, report: dict[str, Any]) -> None:
    """Write the report to a file, so that no reader sees half of it."""
    new = file.with_name(f"{file.name}.new")
    new.write_text(json.dumps(report, indent=2) + "\n")
    new.replace(file)
