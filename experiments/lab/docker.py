"""The runtime with Docker: `docker compose` on the part's file."""

import json
import os
import shutil
import subprocess

from lab import compose
from lab.compose import Service
from lab.places import ROOT, LabError


class DockerRuntime:
    """Starts and stops services as containers of the part's Compose project."""

    name = "docker"

    def create(self, part: str, *, fresh: bool) -> None:
        """Build the image and make the containers: with `fresh`, forget the data of earlier runs."""
        if fresh:
            self._compose(part, "down", "--volumes", "--remove-orphans")
        self._compose(part, "build", "--quiet", next(iter(compose.services(part))))
        self._compose(part, "up", "--no-start", "--no-build", "--quiet-pull")

    def start(self, service: Service) -> None:
        """Start a service, unless it runs. Raises LabError when Docker cannot, for instance as its port is taken."""
        self._compose(service.part, "up", "--detach", "--no-deps", "--no-recreate", "--no-build", service.name)

    def stop(self, service: Service) -> None:
        """End a service in good order."""
        if self.state(service) == "paused":
            self._compose(service.part, "unpause", service.name)
        self._compose(service.part, "stop", service.name)

    def signal(self, service: Service, verb: str) -> None:
        """`kill`, `pause` or `unpause` a service. Raises LabError when it does not run."""
        self._compose(service.part, verb, service.name)

    def remove(self, part: str) -> None:
        """Stop every service of a part and remove its containers; the data stays in its volumes."""
        self._compose(part, "down", "--remove-orphans")

    def state(self, service: Service) -> str:
        """Return `running`, `paused` or `exited`."""
        answer = self._compose(service.part, "ps", "--all", "--format", "json", service.name)
        rows = [json.loads(line) for line in answer.splitlines() if line.strip()]
        state = rows[0]["State"] if rows else "exited"
        return state if state in ("running", "paused") else "exited"

    def pid(self, service: Service) -> int | None:
        """Return None: a container's processes are not this machine's business."""
        return None

    def logs(self, service: Service, lines: int) -> str:
        """Return the last lines of what the service said."""
        return self._compose(service.part, "logs", "--no-log-prefix", "--tail", str(lines), service.name)

    def follow_command(self, service: Service, lines: int) -> list[str]:
        """Return the command that shows the log as it grows."""
        words = ["logs", "--no-log-prefix", "--follow", "--tail", str(lines), service.name]
        return [*_command(service.part), *words]

    def _compose(self, part: str, *words: str) -> str:
        done = subprocess.run([*_command(part), *words], capture_output=True, text=True, env=os.environ)
        if done.returncode:
            said = "\n".join(done.stderr.strip().splitlines()[-6:])
            raise LabError(f"docker compose {words[0]} failed:\n{said}", "or without Docker: LAB_RUNTIME=local ./lab …")
        return done.stdout


def answers() -> bool:
    """Return whether a Docker engine with Compose answers on this machine."""
    if not shutil.which("docker"):
        return False
    try:
        for words in (["docker", "version"], ["docker", "compose", "version"]):
            if subprocess.run(words, capture_output=True, timeout=5).returncode:
                return False
    except subprocess.TimeoutExpired:
        return False
    return True


def _command(part: str) -> list[str]:
    return ["docker", "compose", "--progress", "quiet", "--file", str(ROOT / part / "docker-compose.yml")]
