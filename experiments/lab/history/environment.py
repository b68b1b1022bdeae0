"""Where a run takes place: the commit, the machine, the versions."""

import platform
from importlib.metadata import version
from typing import Any

import psutil

from lab.version import commit

PACKAGES = ("flask", "gunicorn", "urllib3", "sqlalchemy", "pydantic", "pika", "kafka-python", "aiohttp")


def environment(runtime_name: str) -> dict[str, Any]:
    """Return where a run takes place: the machine, the versions, and the commit.

    The commit has `+changes` when the files other than results and pages differ from it.
    """
    found = commit("results", "*.md")
    return {
        "commit": f"{found.id}{'+changes' if found.changed else ''}" or "none",
        "runtime": runtime_name,
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"Python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }
