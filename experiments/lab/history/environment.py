"""Where a run takes place: the commit, the machine, the versions."""

import platform
from importlib.metadata import version
from typing import Any

import psutil

from lab.version import CODE, Commit, commit

PACKAGES = ("flask", "gunicorn", "urllib3", "sqlalchemy", "pydantic", "pika", "kafka-python", "aiohttp")


def environment(runtime_name: str) -> dict[str, Any]:
    """Return where a run takes place: the machine, the versions, and the commit.

    The commit has `+changes` when the code differs from it.
    """
    found = code()
    return {
        "commit": f"{found.id}{'+changes' if found.changes else ''}" or "none",
        "runtime": runtime_name,
        "cores": psutil.cpu_count(),
        "memory_gib": round(psutil.virtual_memory().total / 2**30),
        "system": f"{platform.system()} {platform.machine()}",
        "versions": {"Python": platform.python_version()} | {name: version(name) for name in PACKAGES},
    }


def code() -> Commit:
    """Return the commit, and what differs from it; results, pages, and what is new beside the code do not count."""
    return commit("results", "*.md", new_in=CODE)


def warning() -> str:
    """Return what a run is told before it begins, where its commit does not say which code it is; else nothing."""
    found, said = code(), "so grading cannot tell which code made this run, and it earns no points"
    if not found.id:
        return f"there is no commit ({found.why}), {said}"
    if not found.changes:
        return ""
    shown = ", ".join(found.changes[:5]) + (f" and {len(found.changes) - 5} more" if found.changes[5:] else "")
    return f"not committed: {shown}; {said}. Commit first, or remove them"
