"""The notification service over REST: `POST /send` notifies a student, once for each order."""

import os
from collections.abc import Mapping

from campus import notices
from campus.database import Database
from campus.faults import ANSWERING, Faults
from campus.forms import SendForm, check
from campus.frame import about, create_service, json_body
from campus.pages import show_notifications
from campus.problems import Problem
from flask import Flask


def create_app(env: Mapping[str, str] = os.environ) -> Flask:
    """Create the notification service. `env` holds DATABASE_URL."""
    database = Database(env.get("DATABASE_URL", "sqlite:///notification.db"), notices.metadata)
    faults = Faults(ANSWERING)
    app = create_service("notification", faults=faults, ready={"database": database.ping}, closing=[database.close])

    @app.post("/send")
    def send():
        """Notify the student; a second call for the same order answers with the first notification."""
        form = check(SendForm, json_body())
        about(form.order_id)
        refusal = faults.inject()
        if refusal:
            raise Problem(409, "notification-refused", "The notification was refused.", reason=refusal)
        with database.transaction() as tx:
            notification = notices.send(tx, form.order_id, form.user_id)
            faults.crash_at("before_commit")
        faults.crash_at("after_commit")
        return notification

    show_notifications(app, database)
    return app
