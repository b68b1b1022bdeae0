"""The runtime without Docker: the Compose file's commands as processes of this machine, under `.lab/`.

What the file says for a container is said for this machine: the other services are at 127.0.0.1, a volume is a
folder under `.lab/data`, and `/app` is the repository.
"""

import os
import platform
import re
import shutil
import signal
import sys
from collections.abc import Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import psutil

from lab.brokers.base import emptied
from lab.errors import LabError
from lab.paths import ROOT, STATE_DIR, relative
from lab.runtime import data, log_keeper, ports, processes
from lab.runtime.broken import command_of
from lab.runtime.connections import LocalConnections
from lab.runtime.processes import Seen
from lab.services import Service, data_format, services_of
from lab.setup import install


class LocalRuntime:
    """Starts and stops services as processes, each in a group of its own, by their recorded ids."""

    name = "local"

    def create(self, part: str, *, fresh: bool) -> None:
        """Make ready to start: with `fresh`, forget the data of earlier runs; a broker that runs is emptied."""
        kept: set[str] = set()
        for service in services_of(part).values() if fresh else ():
            if self.state(service) == "exited" or not emptied(service):
                self.stop(service)
                for log in (self.log_file(service), self.log_file(service).with_suffix(".log.1")):
                    log.unlink(missing_ok=True)
            else:
                kept |= service.volumes.keys()
        for other in [*data.folder(part).glob("*/")] if fresh else ():  # of a broker of another size
            if other.name not in kept:
                shutil.rmtree(other, ignore_errors=True)
        if fresh or not data.folder(part).exists():
            data.folder(part).mkdir(parents=True, exist_ok=True)
            (data.folder(part) / "format").write_text(f"{data_format(part)}\n")

    def set_aside(self, part: str) -> str:
        """Move data that another version of the lab left out of the way; return a sentence about it, "" if none."""
        if any(self.state(service) != "exited" for service in services_of(part).values()):
            return ""
        here, right, aside = data.folder(part), data_format(part), STATE_DIR / "set-aside"
        if not here.exists() or (found := data.found_format(part)) == right:
            return ""
        aside.mkdir(exist_ok=True)
        taken = [int(old.name.rpartition("-")[2]) for old in aside.glob(f"{part}-*")]
        moved = here.rename(aside / f"{part}-{max(taken, default=0) + 1}")
        formats = f"format {found}, and this version has format {right}"
        return f"the data of {part} has {formats}: it is now in {relative(moved)}; delete it if you do not need it"

    def start(self, *services: Service) -> None:
        """Start services, unless they run. Raises LabError when a port is taken."""
        for service in services:
            if self.state(service) != "exited":
                continue
            ports.check_free(service)
            if service.is_broker:
                install.ensure(service.kind)
            folder, env = ROOT / service.folder, os.environ | self.environment(service)
            program, *words = (self._here(service, word) for word in command_of(service))
            found = shutil.which(program, path=env["PATH"])
            start = [found] if found else ["bash", str(folder / program)]  # a copy may have lost its run bits
            log = self.log_file(service)
            processes.start_recorded([*start, *words], _record_file(service), folder=folder, env=env, log=log)
            log_keeper.start()

    def stop(self, service: Service) -> None:
        """End a service: in good order, or after 12 s by force."""
        record = processes.load(_record_file(service))
        if record is not None:
            record.stop()
            _record_file(service).unlink(missing_ok=True)

    def signal(self, service: Service, verb: str) -> None:
        """`kill`, `pause` or `unpause` a service. Raises LabError when it does not run."""
        record = processes.load(_record_file(service))
        if record is None or record.process() is None:
            raise LabError(f"{service.name} does not run", f"./lab start {service.part}/{service.name}")
        number = {"kill": signal.SIGKILL, "pause": signal.SIGSTOP, "unpause": signal.SIGCONT}[verb]
        record.signal_group(number)
        if verb == "kill":
            record.stop()  # waits until it is gone

    def remove(self, part: str, *, keep_brokers: bool = False) -> None:
        """Stop every service of a part: the one that all orders come through, the others, then the brokers."""
        brokers_first = list(services_of(part).values())
        *others, order = [service for service in brokers_first if not service.is_broker]
        self.stop(order)
        with ThreadPoolExecutor() as all_at_once:
            list(all_at_once.map(self.stop, others))
        for service in brokers_first:
            if service.is_broker and not keep_brokers:
                self.stop(service)

    def look(self, services: Iterable[Service]) -> list[Seen]:
        """Return the state of each service, and its first process."""
        records = [processes.load(_record_file(service)) for service in services]
        states = [record.state() if record else "exited" for record in records]
        return [Seen(state, "" if record is None or state == "exited" else str(record.pid))
                for state, record in zip(states, records, strict=True)]  # fmt: skip

    def state(self, service: Service) -> str:
        """Return `running`, `paused` or `exited`."""
        return self.look([service])[0].state

    def pid(self, service: Service) -> int | None:
        """Return the id of the service's first process."""
        record = processes.load(_record_file(service))
        return record.pid if record and record.process() else None

    def log_file(self, service: Service) -> Path:
        """Return the file that holds what the service said."""
        return STATE_DIR / "logs" / service.part / f"{service.name}.log"

    def logs(self, service: Service, lines: int) -> str:
        """Return the last lines of what the service said."""
        file = self.log_file(service)
        return "\n".join(file.read_text(errors="replace").splitlines()[-lines:]) if file.exists() else ""

    def follow_command(self, service: Service, lines: int) -> list[str]:
        """Return the command that shows the log as it grows."""
        return ["tail", "-n", str(lines), "-F", str(self.log_file(service))]

    def connections(self) -> LocalConnections:
        """Return who knows the connections of the services."""
        return LocalConnections(self.pid)

    def facts(self, services: Mapping[str, Service]) -> dict[str, Any]:
        """Return on what the services run: this machine."""
        memory, system = psutil.virtual_memory().total, f"{platform.system()} {platform.machine()}"
        return {"cores": psutil.cpu_count(), "memory_gib": round(memory / 2**30), "system": system}

    def kafka_jars(self, service: Service) -> list[str]:
        """Return the names of the jars from which Kafka was started."""
        return [path.name for path in install.kafka_libs().glob("*.jar")]

    def environment(self, service: Service) -> dict[str, str]:
        """Return the variables that the service is given here."""
        env = {key: self._here(service, value) for key, value in service.environment.items()}
        code = os.pathsep.join([str(ROOT / "common"), str(ROOT / service.folder)])
        path = os.pathsep.join([str(Path(sys.executable).parent), os.environ.get("PATH", os.defpath)])
        return env | {"PYTHONPATH": code, "PATH": path, "PYTHONUNBUFFERED": "1"}

    def _here(self, service: Service, value: str) -> str:
        """Return what the Compose file says of a container as it is on this machine."""
        for other in services_of(service.part):
            value = re.sub(rf"(//|@|^|,){re.escape(other)}:", r"\g<1>127.0.0.1:", value)
        part_data = data.folder(service.part)
        for volume, target in service.volumes.items():
            (part_data / volume).mkdir(parents=True, exist_ok=True)
            here = data.plain_path(part_data / volume) if service.is_broker else part_data / volume
            value = re.sub(rf"{target}(?=/|$)", lambda _, here=here: str(here), value)
        return "127.0.0.1" if value == "0.0.0.0" else value


def _record_file(service: Service) -> Path:
    return STATE_DIR / "run" / service.part / f"{service.name}.json"
