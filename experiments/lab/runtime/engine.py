"""Docker's own commands, and whether this machine's Docker can run the lab: the engine, Compose, their versions."""

import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from lab.compose import BASE, ONE, described, kept, size_of
from lab.errors import LabError
from lab.paths import ROOT, STATE_DIR
from lab.runtime import processes
from lab.services import read_env

ENGINE, COMPOSE = (20, 10), (2, 20)  # the oldest that read the Compose files
PROJECT = "COMPOSE_PROJECT_NAME"
BUILD_SECONDS = 1800.0  # an image may have to be fetched over a slow line
AWAY = re.compile("Cannot connect to the Docker daemon|Is the docker daemon running|error during connect", re.I)
SILENT = "no Docker engine answers"
WITHOUT = "or without Docker: LAB_RUNTIME=local ./lab …"


@functools.cache
def fault() -> str:
    """Return why this machine's Docker cannot run the lab; "" when it can, `no Docker` when there is none at all."""
    try:
        return _fault()
    except LabError as error:
        return str(error)


def _fault() -> str:
    if not shutil.which("docker"):
        old = shutil.which("docker-compose")
        return f"there is {old}, but no `docker`: the lab needs `docker compose`" if old else "no Docker"
    asked = docker("version", "--format", "{{.Server.Version}}", seconds=10)
    if asked.returncode:
        if "permission denied" in asked.stderr:
            return "this user may not use the Docker engine: sudo usermod -aG docker $USER, then log in anew"
        return SILENT
    compose = docker("compose", "version", "--short", seconds=10)
    if compose.returncode:
        old = ", and docker-compose is too old" if shutil.which("docker-compose") else ""
        return f"`docker compose` is missing{old}: the lab needs Compose {_dotted(COMPOSE)} or newer"
    return _too_old("Docker Engine", asked.stdout, ENGINE) or _too_old("Compose", compose.stdout, COMPOSE)


def _too_old(what: str, said: str, needed: tuple[int, int]) -> str:
    """Return a sentence about a version that is too old; "" when it is not, or when it is not a number."""
    found = re.match(r"v?(\d+)\.(\d+)", said.strip())
    if not found or (int(found[1]), int(found[2])) >= needed:
        return ""
    return f"{what} {said.strip()} is too old: the lab needs {_dotted(needed)} or newer"


def _dotted(version: tuple[int, int]) -> str:
    return ".".join(map(str, version))


def project(part: str) -> str:
    """Return the name of the part's Compose project: another in each clone, unless the part's `.env` names one."""
    file = ROOT / part / ".env"
    named = read_env(file.read_text(errors="replace")).get(PROJECT, "") if file.exists() else ""
    ours = f"campus-{part}-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]}"
    return ours if not named or _made_here(named, part) else named


def _made_here(name: str, part: str) -> bool:
    return re.fullmatch(rf"campus-{part}-[0-9a-f]{{6}}", name) is not None


def name_project(part: str) -> None:
    """Write the project's name into the part's `.env`, so that plain `docker compose` finds the same containers."""
    file = ROOT / part / ".env"
    lines = file.read_text().splitlines() if file.exists() else []
    line = f"{PROJECT}={project(part)}"
    if line not in lines:
        kept = [old for old in lines if not old.startswith(f"{PROJECT}=campus-{part}-")]
        if not any(PROJECT in old for old in kept):
            file.write_text("\n".join([*kept, line, ""]))


def container(part: str, name: str) -> str:
    """Return the name of a service's container."""
    return f"{project(part)}-{name}-1"


def inspect(names: Iterable[str]) -> dict[str, dict[str, Any]]:
    """Return what the engine knows of these containers, of those that there are, by their names. Raises LabError."""
    done = docker("container", "inspect", *names)
    if done.returncode and AWAY.search(done.stderr):
        raise LabError(SILENT, f"start Docker, {WITHOUT}")
    return {found["Name"].lstrip("/"): found for found in json.loads(done.stdout or "[]")}


def facts() -> dict[str, Any]:
    """Return the engine's versions, and the machine that it gives to the containers. Raises LabError."""
    done = docker("info", "--format", "{{json .}}")
    if done.returncode:
        raise LabError(SILENT, f"start Docker, {WITHOUT}")
    info = json.loads(done.stdout)
    compose = docker("compose", "version", "--short").stdout.strip().removeprefix("v")
    return {
        "cores": info["NCPU"],
        "memory_gib": round(info["MemTotal"] / 2**30),
        "system": f"{info['OperatingSystem']}, {info['OSType']} {info['Architecture']}",
        "engine": {"Docker Engine": info["ServerVersion"], "Compose": compose},
    }


def compose_command(part: str, *, progress: str = "quiet", override: str = "") -> list[str]:
    """Return how a command of Compose for the part begins; `override` is the name of a second file."""
    files = [str(_file(part)), *([override] if override else [])]
    named = [word for file in files for word in ("--file", file)]
    folder = ["--project-directory", str(ROOT / part), "--project-name", project(part)]
    return ["docker", "compose", "--progress", progress, *folder, *named]


def _file(part: str) -> Path:
    """Return what describes the part; where it has more than one of something, that is written anew."""
    size = size_of(part)
    if size == ONE:
        return ROOT / part / BASE
    file = STATE_DIR / "run" / part / "compose.json"
    file.write_text(json.dumps(described(part, size)))
    return file


def compose(part: str, *words: str, override: str = "", hint: str = "") -> str:
    """Run a command of Compose and return what it said. Raises LabError."""
    command = [*compose_command(part, override=override), *words]
    done = processes.finished(command, BUILD_SECONDS, capture_output=True, text=True, env=_environment(part))
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-6:])
        raise LabError(f"docker compose {words[0]} failed:\n{said}", hint)
    return done.stdout


def _environment(part: str) -> dict[str, str]:
    """Return the environment of a command of Compose: ours, without a name for the projects of all parts."""
    return kept(part) | {name: value for name, value in os.environ.items() if name != PROJECT}


def docker(*words: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run a command of Docker to its end. Raises LabError when it takes too long."""
    return processes.finished(["docker", *words], seconds, capture_output=True, text=True)
