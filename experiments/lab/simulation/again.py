"""Plays some seeds of an exploration again: `python -m lab.simulation.again PART SEED...` prints their digests as JSON.

It is a program of its own, as each part needs a process of its own.
"""

import json
import subprocess
import sys
from collections.abc import Iterable
from typing import Any

from lab.errors import LabError
from lab.paths import ROOT
from lab.simulation.explore import BATCH, Explorer

MAX_SEED = 10**9


def figures(said: dict[str, Any], seeds: int = 2) -> dict[str, Any]:
    """Return committed figures with what can be recomputed cheaply: how many schedules, and some of the digests."""
    first, last = said["seeds"]
    sampled = sorted(int(seed) for seed in said["samples"])
    chosen = [seed for seed in sampled if 0 <= seed < MAX_SEED][:: max(1, len(sampled) // seeds)][:seeds]
    return said | {"schedules": BATCH * (last - first + 1), "samples": said["samples"] | played(said["part"], chosen)}


def played(part: str, seeds: Iterable[int]) -> dict[str, str]:
    """Return the digest of all that happens in the schedules of each of these seeds. Raises LabError."""
    command = [sys.executable, "-m", __name__, part, *map(str, seeds)]
    env = {"PYTHONPATH": f"{ROOT / 'experiments'}:{ROOT / 'common'}"}
    said = subprocess.run(command, cwd=ROOT, env=env, capture_output=True, text=True, check=False)
    if said.returncode:
        raise LabError(f"{part} cannot be explored: {said.stderr[-300:]}")
    return json.loads(said.stdout)


if __name__ == "__main__":
    explorer = Explorer(sys.argv[1])
    print(json.dumps({seed: explorer.sample(int(seed)) for seed in sys.argv[2:]}))
