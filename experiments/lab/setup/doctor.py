"""What this machine has of what the lab needs: one row for each, with its state and the next command.

Each sentence is the one with which another command would end.
"""

import os
import platform
import resource
import shutil
import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial

import psutil

from lab.errors import LabError
from lab.paths import PARTS, ROOT, STATE_DIR
from lab.services import Service, services_of
from lab.setup import engine, install, java

NEEDED_BYTES = 2_000_000_000  # the environment, Kafka and its Java, some runs
NEEDED_FILES = 1024


@dataclass(frozen=True)
class Row:
    """One thing: whether it is good, how it is, and what to do if it is not."""

    what: str
    good: bool
    state: str
    hint: str = ""


def rows(parts: Sequence[str], up: Callable[[], list[str]], check_free: Callable[[Service], None]) -> list[Row]:
    """Look at the machine, and at what these parts need.

    `up` says which parts are up; `check_free` raises LabError for a service whose ports are taken.
    """
    checks = {
        "async-rabbitmq": {"RabbitMQ (B)": install.rabbitmq},
        "streaming-kafka": {"Java (C)": java.found, "Kafka (C)": install.kafka},
    }
    machine = {"system": _system, "open files": _files, "folder": _folder, "disk": _disk, "Docker": _docker}
    brokers = [_local(what, check) for part in parts for what, check in checks.get(part, {}).items()]
    found = [*(_checked(what, check) for what, check in machine.items()), *brokers]
    try:
        running = up()
    except LabError as error:
        return [*found, Row("ports", False, str(error), error.hint)]
    frees = {part: partial(_free, part, part in running, check_free) for part in parts}
    return found + [_checked(f"ports ({'ABC'[PARTS.index(part)]})", free) for part, free in frees.items()]


def _checked(what: str, check: Callable[[], str]) -> Row:
    """Make a row of a check, which says what is good or raises LabError; what `./lab up` fetches is not missing."""
    try:
        return Row(what, True, check())
    except LabError as error:
        return Row(what, error.hint.startswith("the first ./lab up"), str(error), error.hint)


def _local(what: str, check: Callable[[], str]) -> Row:
    """Check what only local processes need: with Docker, what is missing is not missed."""
    row = _checked(what, check)
    return row if row.good or engine.fault() else Row(what, True, f"{row.state}; with Docker it is not needed")


def _system() -> str:
    """Say what this machine is: a Linux below Windows tells it in the name of its kernel."""
    release, memory = platform.release(), psutil.virtual_memory().total / 2**30
    name = "WSL2" if "microsoft" in release.lower() else platform.system()
    cores = len(psutil.Process().cpu_affinity()) if hasattr(psutil.Process, "cpu_affinity") else os.cpu_count()
    python = ".".join(map(str, sys.version_info[:3]))
    return f"{name} {release}, {platform.machine()}, {cores} cores, {memory:.0f} GiB, Python {python}"


def _files() -> str:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    if hard != resource.RLIM_INFINITY and hard < NEEDED_FILES:
        raise LabError(f"at most {hard} at a time, and a load may need {NEEDED_FILES}", "ulimit -Hn 4096")
    return f"{soft} at a time, which ./lab raises where it needs more"


def _folder() -> str:
    if str(ROOT).startswith("/mnt/") and "microsoft" in platform.release().lower():
        raise LabError(f"{ROOT} is on a disk of Windows, which is slow", "clone it below your home in WSL")
    if STATE_DIR.exists() and not os.access(STATE_DIR, os.W_OK | os.X_OK):
        raise LabError(f"{STATE_DIR} belongs to another user", f'sudo chown -R {os.getuid()} "{STATE_DIR}"')
    return str(ROOT)


def _disk() -> str:
    free = shutil.disk_usage(ROOT).free
    said, needed = f"{free / 1e9:.1f} GB free", f"{NEEDED_BYTES / 1e9:.0f}"
    if free < NEEDED_BYTES:
        raise LabError(f"{said}, and the lab needs {needed}", "df -h . ; rm -rf .lab/quick .lab/runs")
    return said


def _docker() -> str:
    """Docker is no need: without it the lab runs the services as processes."""
    if wrong := engine.fault():
        return f"{wrong}; ./lab up runs the services as local processes"
    return "an engine and Compose answer: ./lab up uses them"


def _free(part: str, up: bool, check_free: Callable[[Service], None]) -> str:
    if up:  # it has them itself
        return f"{part} is up"
    found = services_of(part).values()
    for service in found:
        check_free(service)
    numbers = sorted(port for service in found for port in service.ports.values())
    return f"{', '.join(map(str, numbers))} are free"
