"""What a run did, step by step; and what our own committed run did, against which others are held.

So no script has to be run, or read, to know what an experiment does.
"""

import gzip
import json
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from lab.history.model import HISTORY
from lab.paths import RESULTS

OF_REPLAY = ("before replay", "after replay")  # reports that `lab replay` notes by itself
FAULTS = ("kill", "stop", "pause", "start", "unpause", "configure", "reset", "take", "give back")
NO_STEPS = tuple(f'"type":"{kind}"' for kind in ("invoke", "ok", "fail", "info", "depth", "lag"))


@dataclass(frozen=True)
class Step:
    """One thing that a script did; `due` is for what it waited before, if it did: so many seconds into a load."""

    kind: str
    name: str
    detail: str = ""
    due: tuple[str, float] | None = None
    at: float = 0.0

    @property
    def what(self) -> tuple[str, str, str]:
        """What two steps must have in common to be the same one."""
        return self.kind, self.name, self.detail

    def as_fault(self) -> dict[str, Any] | None:
        """Return it as a history has a fault; None if it is none."""
        if self.kind not in FAULTS:
            return None
        value = {"value": json.loads(self.detail)} if self.detail else {}
        return {"type": "fault", "verb": self.kind, "service": self.name, "at": self.at, **value}

    def __str__(self) -> str:
        return f"{self.kind} {self.name} {self.detail}".strip()


def ours(part: str, experiment: str) -> list[Step]:
    """Return the steps of this repository's own run of an experiment; none if there is no such run."""
    try:
        text = gzip.decompress((RESULTS / part / experiment / HISTORY).read_bytes()).decode()
    except OSError:
        return []
    lines = text.splitlines()[1:]
    return happened(json.loads(line) for line in lines if not any(kind in line for kind in NO_STEPS))


def happened(events: Iterable[dict[str, Any]]) -> list[Step]:
    """Return the steps that the entries of a history hold, in order of time."""
    found: list[Step] = []
    in_order, due = sorted(events, key=lambda e: e["at"]), None
    params = {e["phase"]: e["params"] for e in in_order if e["type"] == "phase"}
    for e in in_order:
        if e["type"] == "due":
            due = (e["phase"], e["seconds"])
        what = _noted(e, params)
        if what and not (what[0] == "publish" and found and found[-1].what == what):
            found.append(Step(*what, due, e["at"]))
            due = None
    return found


def _noted(e: dict[str, Any], params: dict[str, dict[str, Any]]) -> tuple[str, str, str] | None:
    kind = e["type"]
    if kind == "begins":
        given = params.get(e["phase"], {}).items()
        words = (f"{key}={value:g}" if isinstance(value, float) else f"{key}={value}" for key, value in given)
        return "load", e["phase"], " ".join(words)
    if kind == "fault":
        return e["verb"], e["service"], json.dumps(e["value"]) if "value" in e else ""
    if kind == "replay":
        return "replay", e["group"], e["to"]
    if kind == "report":
        return None if e["name"] in OF_REPLAY else ("report", e["name"], "")
    if kind in ("snapshot", "lag table", "published"):
        return "publish" if kind == "published" else kind, e["name"], ""
    return ("settle", "", "") if kind == "settled" else None
