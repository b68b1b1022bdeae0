"""Runs other programs to their end, with a limit on the time."""

import subprocess
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from lab.errors import LabError


def finished(command: Sequence[str | Path], seconds: float, **options: Any) -> subprocess.CompletedProcess[Any]:
    """Run a command to its end, as `subprocess.run` does. Raises LabError when it does not come to it in time."""
    try:
        return subprocess.run(command, timeout=seconds, **options)
    except subprocess.TimeoutExpired:
        raise LabError(f"{' '.join(map(str, command[:3]))} was stopped: it took more than {seconds:.0f} s") from None
