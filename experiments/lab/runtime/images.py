"""Building the images of a part: shown as it goes on where it takes long, and left out where nothing has changed."""

import hashlib
import json
import subprocess
from pathlib import Path

from lab.compose import POSTGRES, size_of
from lab.errors import LabError
from lab.paths import PARTS, ROOT, STATE_DIR
from lab.runtime import engine, processes

STDERR = 2


def build(part: str) -> None:
    """Build the part's images, unless they are there and their files are as they were. Raises LabError."""
    note = STATE_DIR / "run" / part / "images.json"
    wanted = _made_of(part)
    if note.exists() and json.loads(note.read_text()) == {"made_of": wanted, "ids": _ids(part)}:
        return
    first = not all(_ids(part))
    command = [*engine.compose_command(part, progress="auto" if first else "quiet"), "build"]
    shown = None if first else subprocess.PIPE
    # Without Buildx the progress goes to the output, in which a script looks for what `lab begin` says.
    done = processes.finished(command, engine.BUILD_SECONDS, stdout=STDERR, stderr=shown, text=True)
    if done.returncode:
        said = "see above" if first else "\n".join(done.stderr.strip().splitlines()[-6:])
        raise LabError(f"docker compose build failed: {said}", engine.WITHOUT)
    note.parent.mkdir(parents=True, exist_ok=True)
    note.write_text(json.dumps({"made_of": wanted, "ids": _ids(part)}))


def _ids(part: str) -> list[str]:
    """Return the id of each image of the part, "" for one that is not there."""
    broker = {"async-rabbitmq": "-rabbitmq", "streaming-kafka": "-kafka"}.get(part)
    database = "-postgres" if size_of(part).database == POSTGRES else None
    names = [engine.project(part) + suffix for suffix in ("", broker, database) if suffix is not None]
    return [engine.docker("image", "inspect", "--format", "{{.Id}}", name).stdout.strip() for name in names]


def _made_of(part: str) -> str:
    """Return a digest of all files that go into the images."""
    digest = hashlib.sha256()
    for path in _sources(part):
        digest.update(f"{path.relative_to(ROOT)}\0{path.stat().st_mode}\0".encode() + path.read_bytes())
    return digest.hexdigest()


def _sources(part: str) -> list[Path]:
    files = [ROOT / name for name in ("Dockerfile", ".dockerignore", "pyproject.toml", "requirements.lock")]
    files += [ROOT / part / "docker-compose.yml"]
    skip = {"__pycache__", "tests"}
    for folder in ("common", *PARTS):
        files += [path for path in (ROOT / folder).rglob("*") if path.is_file() and not skip & set(path.parts)]
    return sorted({path for path in files if path.exists() and path.name != ".env"})
