"""Errors as RFC 9457 problem details (`application/problem+json`)."""

from http import HTTPStatus
from typing import Any

from campus import jsons

CONTENT_TYPE = "application/problem+json"


class Problem(Exception):
    """An error that a view raises and the service frame answers.

    Example:

        raise Problem(409, "insufficient-stock", "Not enough burger.", order_id=order.order_id)
    """

    def __init__(
        self, status: int, kind: str, detail: str, *, headers: dict[str, str] | None = None, **members: Any
    ) -> None:
        super().__init__(detail)
        self.status = status
        self.kind = kind
        self.detail = detail
        self.headers = headers or {}
        self.members = {name: value for name, value in members.items() if value is not None}

    def as_dict(self, *, request_id: str) -> dict[str, Any]:
        """Return `{type, title, status, detail, request_id, …}` with the members given."""
        return {
            "type": f"urn:campus:problem:{self.kind}",
            "title": HTTPStatus(self.status).phrase,
            "status": self.status,
            "detail": self.detail,
            "request_id": request_id,
            **self.members,
        }

    def as_response(self, *, request_id: str) -> bytes:
        """Return a whole HTTP response, after which the connection is closed: for a request that reaches no view."""
        body = jsons.dumps(self.as_dict(request_id=request_id))
        head = [
            f"HTTP/1.1 {self.status} {HTTPStatus(self.status).phrase}",
            f"Content-Type: {CONTENT_TYPE}",
            f"Content-Length: {len(body)}",
            f"X-Request-ID: {request_id}",
            "Connection: close",
        ]
        return "\r\n".join([*head, "", ""]).encode() + body
