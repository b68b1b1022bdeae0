"""The JSON body of a request: what is none, or is too large, is refused before a view looks at it."""

from typing import Any

from flask import abort, request

from campus import jsons
from campus.partial_request import MAX_BODY
from campus.problems import Problem
from campus.schemas import bad_request


def json_body() -> Any:
    """Return the request's JSON. Raises a 415, 413 or 400 Problem."""
    if request.environ.get("CONTENT_TYPE") != "application/json" and request.mimetype != "application/json":
        raise Problem(415, "unsupported-media-type", "Send application/json.")
    data = request.get_data()
    if len(data) > MAX_BODY:
        abort(413)
    try:
        return jsons.loads(data)
    except ValueError as error:
        raise bad_request([{"field": "(body)", "why": f"this is not JSON: {error}"}]) from None
