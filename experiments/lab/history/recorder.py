"""A run's raw record while it is being made: a folder in which every `lab` command notes what it did and when.

Times are seconds since the run began, on the clock that all processes of a machine share and no program can set.
"""

import json
import os
import time
from collections.abc import Iterable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from lab.errors import LabError


class RunRecorder:
    """The folder of one run: `run.json` is what was known before it began, each `*.jsonl` the lines of one writer."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.head: dict[str, Any] = json.loads((folder / "run.json").read_text())

    @classmethod
    def begin(cls, folder: Path, head: dict[str, Any]) -> "RunRecorder":
        """Make the folder and start the clock."""
        folder.mkdir(parents=True)
        clock = {"began_at": datetime.now(UTC).isoformat(), "began_monotonic": time.monotonic()}
        (folder / "run.json").write_text(json.dumps(head | clock, indent=1))
        return cls(folder)

    @classmethod
    def current(cls) -> "RunRecorder | None":
        """Return the run that this command is part of (LAB_RUN), or None."""
        folder = os.environ.get("LAB_RUN")
        return cls(Path(folder)) if folder else None

    @classmethod
    def required(cls) -> "RunRecorder":
        """Return the run that this command is part of. Raises LabError when it is part of none."""
        recorder = cls.current()
        if recorder is None:
            raise LabError("this is a command for experiment scripts", "run one: experiments/a1_baseline.sh --quick")
        return recorder

    def now(self) -> float:
        """Return the seconds since the run began."""
        return time.monotonic() - self.head["began_monotonic"]

    def record(self, **event: Any) -> None:
        """Append one event, stamped now unless it says `at`."""
        self.append("events", [{"at": round(self.now(), 6)} | event])

    def append(self, writer: str, lines: Iterable[dict[str, Any]]) -> None:
        """Append lines to the file of one writer."""
        with (self.folder / f"{writer}.jsonl").open("a") as out:
            out.writelines(json.dumps(line, separators=(",", ":")) + "\n" for line in lines)

    def lines(self) -> list[dict[str, Any]]:
        """Return the lines of all writers in order of time."""
        found = []
        for file in sorted(self.folder.glob("*.jsonl")):
            found += [json.loads(line) for line in file.read_text().splitlines()]
        return sorted(found, key=lambda line: line["at"])

    def wait_for(self, phase: str, seconds: float) -> None:
        """Wait until this many seconds of a load have passed. Raises LabError when the load does not begin."""
        time.sleep(max(0.0, self.begun(phase) + seconds - self.now()))

    def begun(self, phase: str) -> float:
        """Wait until a load begins, and return when. Raises LabError when it does not."""
        deadline = time.monotonic() + 20
        while time.monotonic() < deadline:
            began = [e["at"] for e in self.lines() if e["type"] == "begins" and e["phase"] == phase]
            if began:
                return began[0]
            time.sleep(0.05)
        raise LabError(f"the load {phase} did not begin", "start it with & before waiting for it")
