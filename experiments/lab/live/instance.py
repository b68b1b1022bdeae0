"""One page at a time: a second `./lab live` says where the first one is."""

import os
from collections.abc import Callable
from pathlib import Path

from flask import Flask
from werkzeug.serving import make_server

from lab.errors import LabError
from lab.paths import STATE_DIR
from lab.runtime import processes

RECORD = STATE_DIR / "run" / "live.json"
HOST = "127.0.0.1"


def serve(port: int, create_app: Callable[[int], Flask], ready: Callable[[str], None]) -> None:
    """Serve an app until the process is ended; `ready` is called with its address. Raises LabError."""
    first = processes.load(RECORD)
    if first is not None and first.process() is not None:
        where = _place().read_text() if _place().exists() else ""
        raise LabError(f"the page is open already: {where} (process {first.pid})", "one page shows all parts")
    try:
        server = make_server(HOST, port, create_app(port), threaded=True)
    except (OSError, SystemExit):
        said = processes.listener(port) or "another process"
        raise LabError(f"port {port} is taken by {said}", "./lab live --port 8031") from None
    address = f"http://{HOST}:{port}/"
    processes.save(processes.record_of(os.getpid()), RECORD)
    _place().write_text(address)
    ready(address)
    try:
        server.serve_forever()
    finally:
        RECORD.unlink(missing_ok=True)
        _place().unlink(missing_ok=True)


def _place() -> Path:
    return RECORD.with_suffix(".url")
