"""Where things are."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
STATE_DIR = ROOT / ".lab"
RESULTS = ROOT / "results"
PARTS = ("sync-rest", "async-rabbitmq", "streaming-kafka")


def relative(path: Path) -> str:
    """Return a path as a reader of this repository would write it."""
    return os.path.relpath(path, ROOT) if path.is_relative_to(ROOT) else str(path)
