"""The runtime with Docker: `docker compose` on the part's file."""

import shutil
import subprocess

from lab.errors import LabError
from lab.paths import ROOT
from lab.runtime import ports, processes
from lab.services import DATA_FORMAT, Service, data_format, services_of

IMAGE = "campus-lab"
WITHOUT = "or without Docker: LAB_RUNTIME=local ./lab …"
BUILD_SECONDS = 1800.0  # an image may have to be fetched over a slow line
AFTER = {"kill": "exited", "pause": "paused", "unpause": "running"}


class DockerRuntime:
    """Starts and stops services as containers of the part's Compose project."""

    name = "docker"

    def create(self, part: str, *, fresh: bool) -> None:
        """Build the image and make the containers: with `fresh`, forget the data of earlier runs."""
        if fresh:
            _compose(part, "down", "--volumes", "--remove-orphans")
        _build(part)
        _compose(part, "up", "--no-start", "--no-build", hint=WITHOUT)

    def set_aside(self, part: str) -> str:
        """Return "": no volume has data of another version of the lab. Raises LabError where one has."""
        ours = f"label=com.docker.compose.project=campus-{part}"
        volumes = set(_docker("volume", "ls", "-q", "--filter", ours).stdout.split())
        good = _docker("volume", "ls", "-q", "--filter", f"label={DATA_FORMAT}={data_format(part)}").stdout.split()
        if others := sorted(volumes.difference(good)):
            raise LabError(
                f"the data of {part} is another version's: Docker's volumes {', '.join(others)}",
                f"to forget it: ./lab up {part} --fresh",
            )
        return ""

    def start(self, service: Service) -> None:
        """Start a service, unless it runs. Raises LabError when its port is taken."""
        if self.state(service) != "exited":
            return
        ports.check_free(service)
        words = ("up", "--detach", "--no-deps", "--no-recreate", "--no-build", service.name)
        _compose(service.part, *words, hint=WITHOUT)

    def stop(self, service: Service) -> None:
        """End a service in good order."""
        if self.state(service) == "paused":  # a paused process cannot obey
            self.signal(service, "unpause")
        _compose(service.part, "stop", service.name)

    def signal(self, service: Service, verb: str) -> None:
        """`kill`, `pause` or `unpause` a service. Raises LabError when it does not run."""
        done = _docker(verb, _container(service))  # not by Compose, which takes its time to read the file first
        if done.returncode:
            state = self.state(service)
            if state == "exited":
                raise LabError(f"{service.name} does not run", f"./lab start {service.part}/{service.name}")
            if state != AFTER[verb]:
                raise LabError(f"docker {verb} failed: {done.stderr.strip()}")

    def remove(self, part: str, *, keep_brokers: bool = False) -> None:
        """Stop every service of a part, brokers as well, and remove its containers; the data stays in its volumes."""
        _compose(part, "down", "--remove-orphans")

    def state(self, service: Service) -> str:
        """Return `running`, `paused` or `exited`."""
        state = _docker("inspect", "--format", "{{.State.Status}}", _container(service)).stdout.strip()
        return state if state in ("running", "paused") else "exited"

    def pid(self, service: Service) -> int | None:
        """Return None: a container's processes are not this machine's business."""
        return None

    def logs(self, service: Service, lines: int) -> str:
        """Return the last lines of what the service said."""
        return _compose(service.part, "logs", "--no-log-prefix", "--tail", str(lines), service.name)

    def follow_command(self, service: Service, lines: int) -> list[str]:
        """Return the command that shows the log as it grows."""
        words = ["logs", "--no-log-prefix", "--follow", "--tail", str(lines), service.name]
        return [*_command(service.part), *words]


def answers() -> bool:
    """Return whether a Docker engine with Compose answers on this machine."""
    if not shutil.which("docker"):
        return False
    try:
        return not any(_docker(*words, seconds=5).returncode for words in (["version"], ["compose", "version"]))
    except LabError:
        return False


def _build(part: str) -> None:
    """Build the image. The first time takes a minute or two, so Docker shows how far it is; then it is quiet."""
    first = _docker("image", "inspect", IMAGE).returncode != 0
    words = ("build", next(s.name for s in services_of(part).values() if not s.is_broker))  # all use one image
    if not first:
        _compose(part, *words, hint=WITHOUT)
    elif processes.finished([*_command(part, progress="auto"), *words], BUILD_SECONDS).returncode:
        raise LabError("docker compose build failed; see above", WITHOUT)


def _container(service: Service) -> str:
    return f"campus-{service.part}-{service.name}-1"


def _command(part: str, *, progress: str = "quiet") -> list[str]:
    file = str(ROOT / part / "docker-compose.yml")
    return ["docker", "compose", "--progress", progress, "--project-name", f"campus-{part}", "--file", file]


def _compose(part: str, *words: str, hint: str = "") -> str:
    done = processes.finished([*_command(part), *words], BUILD_SECONDS, capture_output=True, text=True)
    if done.returncode:
        said = "\n".join(done.stderr.strip().splitlines()[-6:])
        raise LabError(f"docker compose {words[0]} failed:\n{said}", hint)
    return done.stdout


def _docker(*words: str, seconds: float = 60.0) -> subprocess.CompletedProcess[str]:
    return processes.finished(["docker", *words], seconds, capture_output=True, text=True)
