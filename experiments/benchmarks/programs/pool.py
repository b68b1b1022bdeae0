"""Part A's order service, its calls by urllib3's connection pool: shows what `requests` costs, and nothing else."""

from typing import Any

import urllib3
from campus import jsons
from campus.service_client import Reply, ServiceClient
from order_service import app


class Pooled(ServiceClient):
    """Calls another service over a pool. For the bench: it does not say whether a failed call was sent."""

    def __init__(self, url: str) -> None:
        super().__init__(url)
        address = urllib3.util.parse_url(url)
        self._pool = urllib3.HTTPConnectionPool(address.host or "", address.port, maxsize=16, retries=False)

    def post(self, path: str, body: Any, *, timeout: float, request_id: str) -> Reply:
        """POST JSON and return the reply."""
        headers = {"Content-Type": "application/json", "X-Request-ID": request_id}
        reply = self._pool.request("POST", path, body=jsons.dumps(body), headers=headers, timeout=timeout)
        return Reply(reply.status, jsons.loads(reply.data))


app.ServiceClient = Pooled
create_app = app.create_app
