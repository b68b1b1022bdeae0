"""Errors as RFC 9457 problem details (`application/problem+json`)."""

from http import HTTPStatus
from typing import Any

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
