"""What Compose reads of a part: its `docker-compose.yml`, and where it has more than one of something, an override.

The size of a part says of what it has more than one. `docker-compose.cluster.yml` has all that may be added: nodes and
PostgreSQL. What was not chosen is left out, and each replica becomes a service of its own, with a port of its own.
"""

import functools
import json
import re
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

import yaml

from lab.errors import LabError
from lab.paths import ROOT, STATE_DIR

BASE, OVERRIDE = "docker-compose.yml", "docker-compose.cluster.yml"
BROKERS = ("kafka", "rabbitmq")
SQLITE, POSTGRES = "sqlite", "postgres"
NODES, MAX_REPLICAS = 3, 16
KEPT = ("TRACE_ORDERS",)
RESET = object()  # what `!reset` takes out
Shape = dict[str, Any]


@dataclass(frozen=True)
class Size:
    """How many nodes the broker has, how many replicas each service that has several, and which database they use."""

    nodes: int = 1
    replicas: Mapping[str, int] = field(default_factory=dict)
    database: str = SQLITE
    ports: Mapping[str, int] = field(default_factory=dict)  # of each replica, by its name


ONE = Size()


def kind_of(name: str) -> str:
    """Return the name of a service without its number: `inventory.2` is one of `inventory`."""
    return name.partition(".")[0]


def replicas(kind: str, count: int) -> list[str]:
    """Return the names of the replicas of a service."""
    return [f"{kind}.{n}" for n in range(1, count + 1)]


def size_told(nodes: int | None, replicas: tuple[str, ...], database: str | None) -> Size:
    """Return the size that these options ask for. Raises LabError."""
    counts = {}
    for word in replicas:
        name, _, count = word.partition("=")
        if not count.isdecimal() or not int(count):
            raise LabError(f"{word} is not SERVICE=N", "for example: --replicas inventory=4")
        if int(count) > 1:
            counts[name] = int(count)
    return Size(nodes or 1, counts, database or (POSTGRES if counts else SQLITE))


def size_of(part: str) -> Size:
    """Return the size that the last `./lab up` gave to a part."""
    return Size(**_noted(part, "size.json"))


def set_size(part: str, size: Size) -> None:
    """Note the size of a part: every command from now on sees its services."""
    _note(part, "size.json", {} if size == ONE else asdict(size))


def kept(part: str) -> dict[str, str]:
    """Return the variables of the environment that the last `./lab up` was given and that hold until `./lab down`."""
    return _noted(part, "kept")


def keep(part: str, variables: Mapping[str, str]) -> None:
    """Note those variables that a service is to have, too, when another shell starts it later."""
    _note(part, "kept", {name: variables[name] for name in KEPT if variables.get(name)})


def _noted(part: str, name: str) -> dict[str, Any]:
    file = STATE_DIR / "run" / part / name
    return json.loads(file.read_text()) if file.exists() else {}


def _note(part: str, name: str, what: dict[str, Any]) -> None:
    file = STATE_DIR / "run" / part / name
    if what:
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(json.dumps(what))
    else:
        file.unlink(missing_ok=True)


def check_size(part: str, size: Size) -> None:
    """Raise LabError for a size that the part cannot have."""
    base = _read(ROOT / part / BASE)["services"]
    broker = next((name for name in BROKERS if name in base), None)
    if size.nodes != 1 and broker is None:
        raise LabError(f"{part} has no broker, so it has no nodes", "only async-rabbitmq and streaming-kafka have one")
    if size.nodes not in (1, NODES):
        raise LabError(
            f"{size.nodes} nodes of {broker} are not possible", f"1 or {NODES}: a majority must be left of them"
        )
    if size.replicas and broker is None:
        raise LabError(
            f"{part} has no replicas: a caller knows one address of each service, so it scales by threads",
            f"A_ORDER_THREADS=32 A_INVENTORY_THREADS=40 ./lab up {part}",
        )
    ours = [name for name in base if name not in ("image", broker)]
    for name, count in size.replicas.items():
        if name not in ours:
            raise LabError(f"{part} has no service {name} that can have replicas", f"it has: {', '.join(ours)}")
        if not 2 <= count <= MAX_REPLICAS:
            raise LabError(f"{count} replicas of {name} are not possible", f"from 2 to {MAX_REPLICAS}")
    if size.replicas and size.database == SQLITE:
        why = "SQLite is for one process, and replicas share one database"
        raise LabError(why, f"./lab up {part} --database postgres --replicas {next(iter(size.replicas))}=2")


def described(part: str, size: Size) -> Shape:
    """Return all that Compose is told of a part of this size; variables are not filled in."""
    base = _read(ROOT / part / BASE)
    if size == ONE:
        return base
    whole = _merged(base, _chosen(base, _read(ROOT / part / OVERRIDE), size))
    first = [name for name in whole["services"] if name not in base["services"]]  # brokers start before all others
    services: Shape = {}
    for kind in [*first, *base["services"]]:
        shape = whole["services"][kind]
        if kind not in size.replicas:
            services[kind] = shape
            continue
        for n, name in enumerate(replicas(kind, size.replicas[kind]), start=1):
            port = size.ports[name]
            services[name] = shape | {
                "environment": shape["environment"] | {"PORT": port, "INSTANCE": n},
                "ports": [f"${{BIND_ADDRESS:-127.0.0.1}}:{port}:{port}"],
            }
    return whole | {"services": services}


def _chosen(base: Shape, override: Shape, size: Size) -> Shape:
    """Return the override without what was not chosen, and without all that names it."""
    out = {name for name in override["services"] if kind_of(name) in BROKERS and size.nodes == 1}
    out |= {name for name in override["services"] if name == POSTGRES and size.database != POSTGRES}
    names_one = re.compile("|".join(rf"(//|@|^|,){re.escape(name)}:" for name in out) or "(?!)")
    found: Shape = {}
    for name, shape in override["services"].items():
        if name in out:
            continue
        kept = {key: value for key, value in shape.items() if name not in base["services"] or key != "ports"}
        if "extends" in kept:
            kept = _merged(base["services"][kept.pop("extends")["service"]], kept)
        for key, unwanted in (("environment", names_one.search), ("depends_on", out.__contains__)):
            of = kept.get(key, {}).items()
            kept[key] = {k: v for k, v in of if not unwanted(str(v) if key == "environment" else k)}
        found[name] = kept
    return override | {"services": found}


def _merged(base: Any, over: Any) -> Any:
    """Return what Compose makes of two files: mappings grow together, anything else is replaced."""
    if not (isinstance(base, dict) and isinstance(over, dict)):
        return over
    both = base | {key: _merged(base.get(key), value) for key, value in over.items()}
    return {key: value for key, value in both.items() if value is not RESET}


class _Loader(yaml.SafeLoader):
    """Reads Compose's own tags, too."""


_Loader.add_constructor("!reset", lambda _loader, _node: RESET)
_Loader.add_constructor("!override", lambda loader, node: loader.construct_sequence(node, deep=True))


def _read(path: Path) -> Shape:
    return _parsed(path, path.stat().st_mtime_ns)


@functools.lru_cache(maxsize=8)
def _parsed(path: Path, _changed_at: int) -> Shape:
    return yaml.load(path.read_text(), _Loader)
