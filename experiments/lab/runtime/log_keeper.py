"""Bounds the logs of local processes: one that grows beyond `MOST` bytes becomes NAME.log.1, and begins anew.

A process writes to the end of a file that it was given open, so its log is copied and emptied, not renamed. One keeper
does this for all services and brokers. The runtime starts it with the first of them, and it ends after the last.
"""

import os
import shutil
import sys
import time
from pathlib import Path

from lab.paths import ROOT, STATE_DIR
from lab.runtime import processes

MOST = 20 * 2**20
EVERY = 2.0
RECORD = STATE_DIR / "run" / "log_keeper.json"


def start() -> None:
    """Start the keeper, unless it runs."""
    record = processes.load(RECORD)
    if record is None or record.process() is None:
        env = os.environ | {"PYTHONPATH": os.pathsep.join([str(ROOT / "experiments"), str(ROOT / "common")])}
        command = [sys.executable, "-m", "lab.runtime.log_keeper"]
        log = STATE_DIR / "logs" / "log_keeper.log"
        processes.start_recorded(command, RECORD, folder=ROOT, env=env, log=log)


def rotate(folder: Path, most: int = MOST) -> None:
    """Begin each log below a folder anew that is larger than `most`; what it held is NAME.log.1 then."""
    for log in folder.glob("**/*.log"):
        if log.stat().st_size > most:
            shutil.copyfile(log, log.with_name(f"{log.name}.1"))
            os.truncate(log, 0)  # a line that was written since the copy is lost


def run() -> None:
    """Look after the logs as long as a service or a broker runs."""
    while any(record and record.process() for record in map(processes.load, STATE_DIR.glob("run/*/*.json"))):
        rotate(STATE_DIR / "logs")
        time.sleep(EVERY)


if __name__ == "__main__":
    run()
