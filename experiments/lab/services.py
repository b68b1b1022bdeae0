"""Reads a part's `docker-compose.yml`: the one description of its services, for both runtimes."""

import io
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from lab.compose import BASE, ONE, Size, described, kept, kind_of, size_of
from lab.errors import LabError
from lab.paths import PARTS, ROOT

DATA_FORMAT = "lab.data-format"  # the label of a volume
_VARIABLE = re.compile(r"\$\{(\w+)(?:(:?-)([^}]*))?\}")


# What stands around host and port in an address.
_AROUND = {
    "kafka": ("", ""),
    "rabbitmq": ("amqp://guest:guest@", "/%2f"),
    "postgres": ("postgresql://postgres@", "/postgres"),
}


@dataclass(frozen=True)
class Service:
    """One service of a part, its variables filled in."""

    part: str
    name: str
    command: list[str]
    environment: dict[str, str]
    folder: str  # the working directory, relative to the repository
    port: int
    volumes: dict[str, str]  # volume name → where the container sees it
    is_broker: bool = False  # RabbitMQ, Kafka or PostgreSQL, and not a service of ours
    other_ports: tuple[int, ...] = ()  # of its other replicas, where it stands for all of them

    @property
    def kind(self) -> str:
        """Its name without the number of the replica."""
        return kind_of(self.name)

    @property
    def ports(self) -> dict[str, int]:
        """All ports on which it listens, by the variable of the environment that chooses each."""
        letter, kind, name = "ABC"[PARTS.index(self.part)], self.kind.upper(), self.name.upper().replace(".", "_")
        others = [key for key in self.environment if re.fullmatch(rf"{kind}_\w+_PORT", key) and "NODE" not in key]
        chosen = {f"{letter}_{key.replace(kind, name, 1)}": int(self.environment[key]) for key in others}
        return {f"{letter}_{name}_PORT": self.port} | chosen

    @property
    def all_ports(self) -> tuple[int, ...]:
        """The port of each of its replicas."""
        return (self.port, *self.other_ports)

    @property
    def urls(self) -> list[str]:
        """The address of each of its replicas from this machine."""
        before, after = _AROUND.get(self.kind, ("http://", ""))
        return [f"{before}127.0.0.1:{port}{after}" for port in self.all_ports]

    @property
    def url(self) -> str:
        """The address from this machine: of a broker those of all its nodes, with commas between them."""
        return ",".join(self.urls) if self.is_broker else self.urls[0]


def part_named(name: str) -> str:
    """Return the part with this name. Raises LabError."""
    if name not in PARTS or not (ROOT / name / BASE).exists():
        there = [part for part in PARTS if (ROOT / part / BASE).exists()]
        raise LabError(f"there is no part {name}", f"the parts are: {', '.join(there)}")
    return name


def services_of(part: str, env: Mapping[str, str] | None = None, size: Size | None = None) -> dict[str, Service]:
    """Return the part's services by name, in the order in which they start. Raises LabError.

    The size is the one that it has now; where `env` is given, there is one of everything, as the file says.
    """
    size = size or (size_of(part) if env is None else ONE)
    shapes = _fill(described(part, size)["services"], variables(part) if env is None else env)
    runs = {name: shape for name, shape in shapes.items() if shape.get("scale") != 0}
    services = {name: _service(part, name, shape) for name, shape in runs.items()}
    owners: dict[int, str] = {}
    for name, variable, port in ((name, *port) for name, service in services.items() for port in service.ports.items()):
        if not 0 < port < 65536:
            raise LabError(f"the port of {name} is {port}", f"{variable} must be from 1 to 65535")
        if port in owners:
            raise LabError(f"{owners[port]} and {name} have the same port {port}", f"see {variable}")
        owners[port] = name
    return services


def by_kind(services: Mapping[str, Service]) -> dict[str, Service]:
    """Return one service of each kind, by its plain name: the first replica, which has the addresses of all."""
    kinds: dict[str, list[Service]] = {}
    for service in services.values():
        kinds.setdefault(service.kind, []).append(service)
    # One that stands for others already is left as it is: this may be asked of what it returned.
    return {kind: first if not others else replace(first, other_ports=tuple(other.port for other in others))
            for kind, (first, *others) in kinds.items()}  # fmt: skip


def variables(part: str) -> dict[str, str]:
    """Return the variables that fill a part's Compose file: its `.env`, above it what is kept, then the environment."""
    return env_file(part) | kept(part) | dict(os.environ)


def env_file(part: str) -> dict[str, str]:
    """Return what the `.env` file of a part says, {} where there is none."""
    file = ROOT / part / ".env"
    if not file.exists():
        return {}
    from dotenv import dotenv_values

    text = io.StringIO(file.read_text(encoding="utf-8-sig", errors="replace"))
    return {name: value for name, value in dotenv_values(stream=text, interpolate=False).items() if value is not None}


def data_format(part: str) -> str:
    """Return the format of the data that the part's services keep, as its Compose file labels the volumes."""
    return described(part, ONE)["x-data"]["labels"][DATA_FORMAT]


def addresses(part: str) -> dict[str, str]:
    """Return the addresses of a part as `{"ORDER_URL": "http://…", …}`; those of a replica as `INVENTORY_2_URL`."""
    services = services_of(part)
    all_ = by_kind(services) | services
    names = {name: f"{name.upper().replace('.', '_')}_URL" for name in all_} | {"kafka": "KAFKA_BOOTSTRAP"}
    return {names[name]: service.url for name, service in all_.items()}


def _service(part: str, name: str, shape: dict[str, Any]) -> Service:
    environment = {key: "" if value is None else str(value) for key, value in shape["environment"].items()}
    for key, value in environment.items():
        if re.search(r"(^|_)PORT$", key) and not (value.isascii() and value.isdecimal()):
            raise LabError(f"the port of {name} is not a number: {value}", f"see {key} in {BASE}")
    return Service(
        part=part,
        name=name,
        command=[str(word) for word in shape.get("x-local", shape.get("command"))],
        environment=environment,
        folder=shape.get("working_dir", f"/app/{part}").removeprefix("/app/"),
        port=int(environment["PORT"]),
        volumes=dict(volume.split(":", 1) for volume in shape.get("volumes", []) if volume[0] != "."),
        is_broker="x-local" in shape,
    )


def _fill(shape: Any, env: Mapping[str, str]) -> Any:
    """Fill in `${NAME}`, `${NAME-default}` and `${NAME:-default}` as Compose does: after the YAML was read."""
    if isinstance(shape, dict):
        return {key: _fill(value, env) for key, value in shape.items()}
    if isinstance(shape, list):
        return [_fill(value, env) for value in shape]

    def value(match: re.Match[str]) -> str:
        name, dash, default = match.groups()
        unset = not env.get(name) if dash == ":-" else name not in env
        return (default or "") if unset else env[name]

    return _VARIABLE.sub(value, shape) if isinstance(shape, str) else shape
