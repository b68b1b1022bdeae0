"""`/configure`: injects faults into a running service, shows them, and takes them away."""

import hmac
import os
from typing import Any

from flask import Flask, request

from campus.bodies import json_body
from campus.faults import Faults
from campus.openapi import takes
from campus.problems import Problem


def add_configure(app: Flask, faults: Faults) -> None:
    """Add `GET`, `POST` and `DELETE /configure`; where CONFIGURE_TOKEN is set, each must bring it."""
    token = os.environ.get("CONFIGURE_TOKEN", "")

    def check_token() -> None:
        sent = request.headers.get("Authorization", "")
        if token and not hmac.compare_digest(sent.encode(), f"Bearer {token}".encode()):
            headers = {"WWW-Authenticate": "Bearer"}
            raise Problem(401, "token-required", "Send CONFIGURE_TOKEN as a bearer token.", headers=headers)

    @app.route("/configure", methods=["GET", "POST", "DELETE"])
    @takes(faults.schema())
    def configure() -> dict[str, Any]:
        """Show (GET), merge (POST) or reset (DELETE) the faults; POST with null unsets one key."""
        check_token()
        if request.method == "POST":
            config = faults.configure(json_body())
        else:
            config = faults.reset() if request.method == "DELETE" else faults.show()
        return {"status": "configured", "config": config}
