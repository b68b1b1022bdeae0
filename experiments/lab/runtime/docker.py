"""The runtime with Docker: Compose makes the part's containers; Docker itself, which is quicker, runs them."""

import json
import subprocess
from collections.abc import Iterable, Mapping
from typing import Any

from lab.brokers.base import emptied
from lab.errors import LabError
from lab.paths import ROOT, STATE_DIR
from lab.runtime import broken, ports
from lab.runtime.connections import ContainerConnections
from lab.runtime.processes import Seen
from lab.services import DATA_FORMAT, Service, by_kind, data_format, services_of
from lab.setup import commands, engine

SAVED_LINES = 20_000  # of each container, when it goes
AFTER = {"kill": "exited", "pause": "paused", "unpause": "running"}


class DockerRuntime:
    """Starts and stops services as containers of the part's Compose project."""

    name = "docker"

    def create(self, part: str, *, fresh: bool) -> None:
        """Build the images and make the containers; with `fresh`, forget the data of earlier runs."""
        if fresh:
            self._forget(part)
        engine.name_project(part)
        engine.build(part)
        engine.compose(part, "up", "--no-start", "--no-build", override=_override(part), hint=engine.WITHOUT)

    def _forget(self, part: str) -> None:
        """Stop all but a broker that was emptied, and delete all data but its, at any size of the part."""
        services = [*services_of(part).values()]
        kept = [s for s, seen in zip(services, self.look(services), strict=True)
                if s.is_broker and seen.state == "running" and emptied(s)]  # fmt: skip
        if kept:
            gone = [service.name for service in services if service not in kept]
            engine.compose(part, "rm", "--stop", "--force", *gone)
        else:
            engine.compose(part, "down", "--remove-orphans")
        stay = {f"{engine.project(part)}_{volume}" for service in kept for volume in service.volumes}
        if volumes := sorted(_volumes(part) - stay):
            engine.docker("volume", "rm", "--force", *volumes)

    def set_aside(self, part: str) -> str:
        """Return "": no volume has data of another version of the lab. Raises LabError where one has."""
        right = f"label={DATA_FORMAT}={data_format(part)}"
        good = engine.docker("volume", "ls", "-q", "--filter", right).stdout.split()
        if others := sorted(_volumes(part).difference(good)):
            raise LabError(
                f"the data of {part} is another version's: Docker's volumes {', '.join(others)}",
                f"to forget it: ./lab up {part} --fresh",
            )
        return ""

    def start(self, *services: Service) -> None:
        """Start services, unless they run. Raises LabError when a port is taken."""
        found = _inspect(services)
        still = [service for service in services if _seen(found.get(_container(service))).state == "exited"]
        for service in still:
            _check_port(service)
        names = [_container(service) for service in still]
        for service, name in zip(still, names, strict=True):
            if name not in found:  # `docker compose down` or `rm` has taken it away
                words = ("up", "--no-start", "--no-deps", "--no-build", service.name)
                engine.compose(service.part, *words, override=_override(service.part), hint=engine.WITHOUT)
        done = engine.docker("start", *names) if names else None
        if done and done.returncode:
            ui = "another program has the port of RabbitMQ's UI: B_RABBITMQ_UI_PORT=15772 ./lab up async-rabbitmq"
            said = done.stderr.strip().splitlines()[0]
            raise LabError(f"docker start failed: {said}", ui if "15672" in done.stderr else engine.WITHOUT)

    def stop(self, service: Service) -> None:
        """End a service in good order."""
        if self.state(service) == "paused":  # a paused process cannot obey
            self.signal(service, "unpause")
        engine.docker("stop", _container(service))

    def signal(self, service: Service, verb: str) -> None:
        """`kill`, `pause` or `unpause` a service. Raises LabError when it does not run."""
        done = engine.docker(verb, _container(service))  # not by Compose, which takes its time to read the file first
        if done.returncode:
            state = self.state(service)
            if state == "exited":
                raise LabError(f"{service.name} does not run", f"./lab start {service.part}/{service.name}")
            if state != AFTER[verb]:
                raise LabError(f"docker {verb} failed: {done.stderr.strip()}")

    def remove(self, part: str, *, keep_brokers: bool = False) -> None:
        """Stop every service of a part, brokers last, and remove its containers; data stays, and what they said."""
        services = [*services_of(part).values()]
        found = _inspect(services)
        for service in services:
            if (seen := found.get(_container(service))) is None:
                continue
            log = STATE_DIR / "logs" / service.part / f"{service.name}.log"
            log.parent.mkdir(parents=True, exist_ok=True)
            log.write_text(self.logs(service, SAVED_LINES) + "\n")
            if _seen(seen).state == "paused":
                self.signal(service, "unpause")
        if keep_brokers and any(service.is_broker for service in services):
            names = [service.name for service in services if not service.is_broker]
            engine.compose(part, "rm", "--stop", "--force", *names)
        else:
            engine.compose(part, "down", "--remove-orphans")

    def look(self, services: Iterable[Service]) -> list[Seen]:
        """Return the state of each service, and its container, by one question."""
        services = [*services]
        found = _inspect(services)
        return [_seen(found.get(_container(service))) for service in services]

    def state(self, service: Service) -> str:
        """Return `running`, `paused` or `exited`."""
        return self.look([service])[0].state

    def logs(self, service: Service, lines: int) -> str:
        """Return the last lines of what the service said."""
        command = ["docker", "logs", "--tail", str(lines), _container(service)]
        done = commands.finished(command, 60, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        return done.stdout.decode(errors="replace").rstrip("\n")

    def said_since(self, service: Service, stamp: str) -> list[tuple[str, bytes]]:
        """Return the last of what the service said from this time on, each line with the engine's own time of it."""
        command = ["docker", "logs", "--timestamps", "--tail", "5000", "--since", stamp, _container(service)]
        done = commands.finished(command, 60, stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
        lines = (line.partition(b" ") for line in done.stdout.splitlines() if not done.returncode)
        return [(at.decode(), line) for at, _, line in lines]

    def follow_command(self, service: Service, lines: int) -> list[str]:
        """Return the command that shows the log as it grows."""
        return ["docker", "logs", "--follow", "--tail", str(lines), _container(service)]

    def connections(self) -> ContainerConnections:
        """Return who knows the connections of the services."""
        return ContainerConnections(_container)

    def facts(self, services: Mapping[str, Service]) -> dict[str, Any]:
        """Return on what the services run: the engine, its machine, the images. Raises LabError."""
        found = _inspect(services.values())
        by_service = {name: found.get(_container(service), {}) for name, service in services.items()}
        ids = {name: seen["Image"].removeprefix("sha256:")[:12] for name, seen in by_service.items() if seen}
        brokers = {name for name, service in services.items() if service.is_broker}
        ours = next((id for name, id in ids.items() if name not in brokers), "")
        return engine.facts() | {"images": {"services": ours} | {name: ids[name] for name in brokers & ids.keys()}}

    def kafka_jars(self, service: Service) -> list[str]:
        """Return the names of the jars from which Kafka was started."""
        return engine.docker("exec", _container(service), "ls", "/opt/kafka/libs").stdout.split()


def _container(service: Service) -> str:
    return engine.container(service.part, service.name)


def _inspect(services: Iterable[Service]) -> dict[str, dict[str, Any]]:
    return engine.inspect(map(_container, services))


def _volumes(part: str) -> set[str]:
    ours = f"label=com.docker.compose.project={engine.project(part)}"
    return set(engine.docker("volume", "ls", "-q", "--filter", ours).stdout.split())


def _seen(found: dict[str, Any] | None) -> Seen:
    if found and (state := found["State"]["Status"]) in ("running", "paused"):
        return Seen(state, f"container {found['Id'][:12]}")
    return Seen("exited")


def _check_port(service: Service) -> None:
    """Raise LabError, with the container or the process that has it, when the service's port is taken."""
    try:
        ports.check_free(service, 1)
    except LabError as error:
        form = '{{.Names}} ({{.Label "com.docker.compose.project.working_dir"}})'
        owner = engine.docker("ps", "--filter", f"publish={service.port}", "--format", form).stdout.strip()
        if not owner:
            raise
        raise LabError(f"port {service.port} of {service.name} is taken by the container {owner}", error.hint) from None


def _override(part: str) -> str:
    """Return the file that puts the broken version that LAB_BROKEN names in place of the right service, "" for none."""
    version = broken.chosen()
    if version is None or version.part != part:
        return ""
    wrong = broken.FOLDER / f"{version.name}.py"
    for path in (broken.FOLDER, wrong):  # the user of the container must read it, whatever the umask of the clone
        path.chmod(path.stat().st_mode | (0o555 if path.is_dir() else 0o444))
    services = services_of(part)
    command = broken.command_of(by_kind(services)[version.service])
    wrong_one = {"command": command, "volumes": [f"{broken.FOLDER}:/app/{broken.FOLDER.relative_to(ROOT)}:ro"]}
    file = STATE_DIR / "run" / part / "override.json"
    file.parent.mkdir(parents=True, exist_ok=True)
    of = [name for name, service in services.items() if service.kind == version.service]
    file.write_text(json.dumps({"services": dict.fromkeys(of, wrong_one)}))
    return str(file)
