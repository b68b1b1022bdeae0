"""The notification service over REST: `POST /send` notifies a student, once for each order."""

import os
from collections.abc import Mapping

from campus import notifications, trace
from campus.database import Database
from campus.faults import ANSWERING, Faults
from campus.openapi import takes
from campus.problems import Problem
from campus.schemas import SendSchema, check
from campus.service import bind_order_id, create_service, json_body
from campus.views import show_notifications
from flask import Flask


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the notification service. `env` holds DATABASE_URL."""
    database = Database(env.get("DATABASE_URL", "sqlite:///notification.db"), notifications.metadata)
    faults = Faults(ANSWERING)
    app = create_service("notification", about=__doc__, faults=faults, parts=[database])

    @app.post("/send")
    @takes(SendSchema)
    def send():
        """Notify the student; a second call for the same order answers with the first notification."""
        body = check(SendSchema, json_body())
        bind_order_id(body.order_id)
        refusal = faults.inject()
        if refusal:
            raise Problem(409, "notification-refused", "The notification was refused.", reason=refusal)
        with database.transaction() as tx:
            notification = notifications.send(tx, body.order_id, body.user_id)
            faults.crash_at("before_commit")
        trace.note("commit", body.order_id, "notified")
        faults.crash_at("after_commit")
        return notification

    show_notifications(app, database)
    return app
