"""The health check of a container: `python -m campus.healthcheck` exits 0 when the service on $PORT is ready."""

import http.client
import os
import sys


def main() -> int:
    """Ask `GET /ready` on this machine."""
    connection = http.client.HTTPConnection("127.0.0.1", int(os.environ["PORT"]), timeout=3)
    connection.request("GET", "/ready")
    return 0 if connection.getresponse().status == 200 else 1


if __name__ == "__main__":
    sys.exit(main())
