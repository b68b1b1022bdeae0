"""Docker's own commands, whether this machine's Docker can run the lab, and the building of a part's images."""

import functools
import hashlib
import json
import os
import re
import shutil
import subprocess
from collections.abc import Iterable
from typing import Any

from lab.compose import BASE, ONE, POSTGRES, described, kept, size_of
from lab.errors import LabError
from lab.paths import PARTS, ROOT, STATE_DIR
from lab.services import env_file
from lab.setup import commands

ENGINE, COMPOSE = (20, 10), (2, 20)  # the oldest that read the Compose files
PROJECT = "COMPOSE_PROJECT_NAME"
BUILD_SECONDS = 1800.0  # an image may have to be fetched over a slow line
AWAY = re.compile("Cannot connect to the Docker daemon|Is the docker daemon running|error during connect", re.I)
SILENT = "no Docker engine answers"
STDERR = 2
WITHOUT = "or without Docker: LAB_RUNTIME=local ./lab …"


@functools.cache
def fault() -> str:
    """Return why this machine's Docker cannot run the lab; "" when it can, `no Docker` when there is none at all."""
    old = shutil.which("docker-compose")
    if not shutil.which("docker"):
        return f"there is {old}, but no `docker`: the lab needs `docker compose`" if old else "no Docker"
    try:
        asked = docker("version", "--format", "{{.Server.Version}}", seconds=10)
        compose = docker("compose", "version", "--short", seconds=10)
    except LabError as error:
        return str(error)
    if asked.returncode:
        if "permission denied" in asked.stderr:
            return "this user may not use the Docker engine: sudo usermod -aG docker $USER, then log in anew"
        return SILENT
    if compose.returncode:
        too_old = ", and docker-compose is too old" if old else ""
        return f"`docker compose` is missing{too_old}: the lab needs Compose {_dotted(COMPOSE)} or newer"
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
    named = env_file(part).get(PROJECT, "")
    ours = f"campus-{part}-{hashlib.sha256(str(ROOT).encode()).hexdigest()[:6]}"
    return ours if not named or re.fullmatch(rf"campus-{part}-[0-9a-f]{{6}}", named) else named


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
    file, size = ROOT / part / BASE, size_of(part)
    if size != ONE:  # written anew
        file = STATE_DIR / "run" / part / "compose.json"
        file.write_text(json.dumps(described(part, size)))
    more = ["--file", override] if override else []
    folder = ["--project-directory", str(ROOT / part), "--project-name", project(part)]
    return ["docker", "compose", "--progress", progress, *folder, "--file", str(file), *more]


def compose(part: str, *words: str, override: str = "", hint: str = "") -> str:
    """Run a command of Compose and return what it said. Raises LabError."""
    command = [*compose_command(part, override=override), *words]
    env = kept(part) | os.environ
    env.pop(PROJECT, None)  # a name for the projects of all parts
    done = commands.finished(command, BUILD_SECONDS, capture_output=True, text=True, env=env)
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-6:])
        raise LabError(f"docker compose {words[0]} failed:\n{said}", hint)
    return done.stdout


def docker(*words: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
    """Run a command of Docker to its end. Raises LabError when it takes too long."""
    return commands.finished(["docker", *words], seconds, capture_output=True, text=True)


def build(part: str) -> None:
    """Build the part's images, unless they are there and their files are as they were. Raises LabError."""
    note = STATE_DIR / "run" / part / "images.json"
    wanted = _made_of(part)
    if note.exists() and json.loads(note.read_text()) == {"made_of": wanted, "ids": _ids(part)}:
        return
    first = not all(_ids(part))  # it takes long, so the progress is shown
    command = [*compose_command(part, progress="auto" if first else "quiet"), "build"]
    shown = None if first else subprocess.PIPE
    # Without Buildx the progress goes to the output, in which a script looks for what `lab begin` says.
    done = commands.finished(command, BUILD_SECONDS, stdout=STDERR, stderr=shown, text=True)
    if done.returncode:
        said = "see above" if first else "\n".join(done.stderr.strip().splitlines()[-6:])
        raise LabError(f"docker compose build failed: {said}", WITHOUT)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"made_of": wanted, "ids": _ids(part)}))


def _ids(part: str) -> list[str]:
    """Return the id of each image of the part, "" for one that is not there."""
    broker = {"async-rabbitmq": "-rabbitmq", "streaming-kafka": "-kafka"}.get(part)
    database = "-postgres" if size_of(part).database == POSTGRES else None
    names = [project(part) + suffix for suffix in ("", broker, database) if suffix is not None]
    return [docker("image", "inspect", "--format", "{{.Id}}", name).stdout.strip() for name in names]


def _made_of(part: str) -> str:
    """Return a digest of all files that go into the images."""
    files = [ROOT / name for name in ("Dockerfile", ".dockerignore", "pyproject.toml", "requirements.lock")]
    files += [ROOT / part / BASE]
    skip = {"__pycache__", "tests"}
    for folder in ("common", *PARTS):
        files += [path for path in (ROOT / folder).rglob("*") if path.is_file() and not skip & set(path.parts)]
    digest = hashlib.sha256()
    for path in sorted({path for path in files if path.exists() and path.name != ".env"}):
        digest.update(f"{path.relative_to(ROOT)}\0{path.stat().st_mode}\0".encode() + path.read_bytes())
    return digest.hexdigest()
