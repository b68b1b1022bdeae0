"""The analytics service over Kafka: counts the orders and verdicts of the log, and reports the metrics."""

import json
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from campus.background import Loop
from campus.database import Database
from campus.faults import CONSUMING, Faults
from campus.frame import create_service
from campus.pruning import Pruning
from flask import Flask

from analytics_consumer import tally
from analytics_consumer.follower import Follower


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the analytics service. `env` holds DATABASE_URL, KAFKA_BOOTSTRAP and METRICS_FILE."""
    database = Database(env.get("DATABASE_URL", "sqlite:///analytics.db"), tally.metadata)
    metrics_file = Path(env.get("METRICS_FILE", "metrics.json"))
    faults = Faults(CONSUMING, points=("before_commit", "after_commit", "after_publish"))
    counting = Loop("analytics", lambda: follower.step(), idle=0.0, waits_until=faults.waits_until)
    pruning = Pruning(database, tally.seen).loop()
    app = create_service(
        "analytics",
        faults=faults,
        ready={
            "database": database.ping,
            "kafka": lambda: follower.check(),
            "analytics": counting.check,
            "pruning": pruning.check,
        },
        loops=[counting, pruning],
        closing=[lambda: follower.close(), database.close],
    )

    @app.get("/report")
    def report() -> dict[str, Any]:
        """Show the metrics."""
        with database.transaction() as tx:
            return tally.report(tx)

    follower = Follower(
        bootstrap=env.get("KAFKA_BOOTSTRAP", "127.0.0.1:8024"),
        database=database,
        faults=faults,
        registry=app.extensions["campus"].registry,
        show=lambda: write(metrics_file, report()),
    )
    return app


def write(file: Path, report: dict[str, Any]) -> None:
    """Write the report to a file: whole, for whoever reads it at the same time."""
    new = file.with_name(f"{file.name}.new")
    new.write_text(json.dumps(report, indent=2) + "\n")
    new.replace(file)
