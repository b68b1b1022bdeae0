"""Where things are."""

import os
from pathlib import Path

from lab.errors import LabError

ROOT = Path(__file__).resolve().parents[2]
STATE_DIR = ROOT / ".lab"
RESULTS = ROOT / "results"
PARTS = ("sync-rest", "async-rabbitmq", "streaming-kafka")


def part_named(name: str) -> str:
    """Return the part with this name. Raises LabError."""
    if name not in PARTS or not (ROOT / name / "docker-compose.yml").exists():
        there = [part for part in PARTS if (ROOT / part / "docker-compose.yml").exists()]
        raise LabError(f"there is no part {name}", f"the parts are: {', '.join(there)}")
    return name


def relative(path: Path) -> str:
    """Return a path as a reader of this repository would write it."""
    try:
        return os.path.relpath(path, ROOT) if path.is_relative_to(ROOT) else str(path)
    except ValueError:
        return str(path)
