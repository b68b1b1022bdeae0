"""How many schedules of 60 actions the simulation plays in a second of processor time; measure on an idle machine.

    PYTHONPATH=experiments:common .lab/venv/bin/python -m lab.simulation.pace [PART]

Exit status: 0 each part reaches its goal, 1 one does not.
"""

import statistics
import subprocess
import sys
import time

from lab.simulation.explore import Explorer
from lab.simulation.schedule import Bounds

GOALS = {"sync-rest": 40, "async-rabbitmq": 60, "streaming-kafka": 40}
ACTIONS, ROUNDS, SCHEDULES = 60, 3, 200


def pace(part: str) -> float:
    """Return the schedules a second: the median of some rounds, each with other seeds."""
    found = []
    for n in range(ROUNDS):
        explorer = Explorer(part, bounds=Bounds(actions=ACTIONS))
        began = time.process_time()
        explorer.explore(seed=n * SCHEDULES, most=SCHEDULES)
        found.append(SCHEDULES / (time.process_time() - began))
    return statistics.median(found)


def main(parts: list[str]) -> int:
    """Measure one part in this process, or each in one of its own; return the exit status."""
    if len(parts) == 1:
        [part] = parts
        reached = pace(part)
        print(f"{part}: {reached:.0f} schedules of {ACTIONS} actions a second; the goal is {GOALS[part]}")
        return int(reached < GOALS[part])
    command = [sys.executable, "-m", "lab.simulation.pace"]
    return max([subprocess.run([*command, part], check=False).returncode for part in GOALS])


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
