"""Where things are, and the error that ends a command with a plain sentence."""

import os
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
HIDDEN = ROOT / ".lab"
RESULTS = ROOT / "results"
PARTS = ("sync-rest", "async-rabbitmq", "streaming-kafka")


class LabError(Exception):
    """Something a person can mend; `hint` says how. Ends the command with status 2."""

    def __init__(self, what: str, hint: str = "") -> None:
        super().__init__(what)
        self.hint = hint


def part_named(name: str) -> str:
    """Return the part with this name. Raises LabError."""
    if name not in PARTS or not (ROOT / name / "docker-compose.yml").exists():
        there = [part for part in PARTS if (ROOT / part / "docker-compose.yml").exists()]
        raise LabError(f"there is no part {name}", f"the parts are: {', '.join(there)}")
    return name


def shown(path: Path) -> str:
    """Return a path as a reader of this repository would write it."""
    try:
        return os.path.relpath(path, ROOT) if path.is_relative_to(ROOT) else str(path)
    except ValueError:
        return str(path)
