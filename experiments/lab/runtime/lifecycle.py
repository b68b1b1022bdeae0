"""The verbs on services that both runtimes share: up, down, start and wait until ready, find by name, status."""

import contextlib
import json
import os
import sys
import time
from collections.abc import Callable, Mapping
from pathlib import Path

from lab import client
from lab.brokers import rabbitmq
from lab.brokers.base import broker_of
from lab.brokers.probe import answers
from lab.compose import ONE, Size, check_size, keep, kept, set_size, size_of
from lab.errors import LabError
from lab.paths import PARTS, ROOT, STATE_DIR
from lab.runtime import broken as broken_versions
from lab.runtime import docker, ports
from lab.runtime.local import LocalRuntime
from lab.services import Service, part_named, services_of
from lab.setup import engine

START_SECONDS = 60.0  # a service may take so long to be ready, unless the variable says another number
START_VARIABLE = "LAB_START_SECONDS"
LOOK_SECONDS = 0.3  # between two looks whether it still runs, which costs with Docker


Runtime = docker.DockerRuntime | LocalRuntime


def choose() -> Runtime:
    """Return the runtime that LAB_RUNTIME names, or Docker where an engine answers, else local. Raises LabError."""
    wanted = os.environ.get("LAB_RUNTIME")
    if wanted not in (None, "", "docker", "local"):
        raise LabError(f"LAB_RUNTIME is {wanted}", "it must be docker or local")
    up_with = _remembered()
    if (wanted or up_with) == "local":
        return LocalRuntime()
    if up_with == "docker":  # what is up was started with it: its commands say it if the engine is gone
        return docker.DockerRuntime()
    wrong = engine.fault()
    if not wrong:
        return docker.DockerRuntime()
    if wanted:
        raise LabError(wrong, "start Docker, or use local processes: LAB_RUNTIME=local ./lab …")
    if wrong not in ("no Docker", engine.SILENT):
        print(f"without Docker: {wrong}", file=sys.stderr)
    return LocalRuntime()


def up(
    runtime: Runtime,
    part: str,
    *,
    size: Size | None = None,
    fresh: bool = False,
    keep_brokers: bool = False,
    say: Callable[[str], None] = print,
) -> None:
    """Start every service of a part and wait until each is ready; on any failure stop them all again.

    A part that is up keeps its size unless another is given. With `fresh` all start anew and empty; with `keep_brokers`
    a broker that runs is emptied instead. Raises LabError for a size that the part cannot have.
    """
    _check_other(runtime, part)
    if size is not None and (size := checked(part, size)) != size_of(part):
        runtime.remove(part)  # what it has now, and may not have then
        set_size(part, size)
    if fresh:
        runtime.remove(part, keep_brokers=keep_brokers)
    elif said := runtime.set_aside(part):
        say(said)
    try:
        say(f"starting {part} ({runtime.name})")
        broken = broken_versions.chosen()
        if broken and broken.part == part:
            say(f"  {broken.service} is the broken version {broken.name}")
        _runtime_file(part).parent.mkdir(parents=True, exist_ok=True)
        _runtime_file(part).write_text(runtime.name)  # `down` finds it even if an engine appears meanwhile
        keep(part, os.environ if fresh else kept(part) | os.environ)
        services = services_of(part).values()
        for service, seen in zip(services, runtime.look(services), strict=True):
            if seen.state == "paused":
                runtime.signal(service, "unpause")
        runtime.create(part, fresh=fresh)
        if size_of(part).nodes > 1:  # a queue that is made before all nodes are there has a member on those only
            nodes = [service for service in services if service.is_broker]
            runtime.start(*nodes)
            for node in nodes:
                wait_ready(runtime, node)
        runtime.start(*services)
        for service in services:
            wait_ready(runtime, service)
            if service.kind == rabbitmq.NAME:
                rabbitmq.check_release(rabbitmq.version(service))
            say(f"  {service.name} is ready at {service.url}")
    except BaseException:  # also Ctrl-C: leave nothing half started
        down(runtime, part)
        raise


def down(runtime: Runtime, part: str, *, keep_brokers: bool = False) -> None:
    """Stop every service of a part."""
    runtime.remove(part, keep_brokers=keep_brokers and size_of(part) == ONE)
    _runtime_file(part).unlink(missing_ok=True)
    set_size(part, ONE)
    keep(part, {})


def brokers_stay() -> bool:
    """Return whether one experiment leaves its broker to the next, as LAB_KEEP_BROKERS=1 says."""
    return os.environ.get("LAB_KEEP_BROKERS", "0") not in ("", "0")


def checked(part: str, size: Size) -> Size:
    """Return the size with ports. Raises LabError for one that the part cannot have."""
    check_size(part, size)
    return ports.with_ports(part, size)


def wait_ready(runtime: Runtime, service: Service) -> None:
    """Wait until a service says that it is ready. Raises LabError, with its last log lines, if it is not in time."""
    said = os.environ.get(START_VARIABLE) or str(START_SECONDS)
    try:
        seconds = float(said)
    except ValueError:
        raise LabError(f"{START_VARIABLE} is {said}", "it must be a number of seconds") from None
    began = looked = time.monotonic()
    while (waited := time.monotonic() - began) < seconds:
        # Docker accepts for a container that does not listen yet, and may leave that call unanswered: ask anew, soon.
        if is_ready(service, timeout=0.2 + waited / 10):
            return
        time.sleep(0.05)
        if time.monotonic() - looked < LOOK_SECONDS:
            continue
        state, looked = runtime.state(service), time.monotonic()
        if state == "exited":
            raise LabError(
                f"{service.name} exited during start-up; last log lines:\n{_last_log_lines(runtime, service)}"
            )
        if state == "paused":
            raise LabError(f"{service.name} is frozen", f"./lab unfreeze {service.part}/{service.name}")
    missing = what_is_missing(service)
    why = f"{service.name} is not ready after {seconds:.0f} s" + (f" ({missing})" if missing else "")
    more = f"on a slow machine give it more time: {START_VARIABLE}={2 * seconds:.0f} ./lab up {service.part}"
    raise LabError(f"{why}; last log lines:\n{_last_log_lines(runtime, service)}", "" if missing else more)


def is_ready(service: Service, timeout: float) -> bool:
    """Return whether a service says that it can work."""
    if service.is_broker:
        return answers(service.kind, service.all_ports, timeout)
    answer = client.try_get(f"{service.url}/ready", timeout=timeout)
    return answer is not None and answer.status_code == 200


def what_is_missing(service: Service) -> str:
    """Return what a service itself says that it waits for: nothing when it is ready, or does not answer."""
    answer = None if service.is_broker else client.try_get(f"{service.url}/ready", timeout=2.0)
    checks = answer.json().get("checks", {}) if answer is not None else {}
    return "; ".join(f"{what}: {said}" for what, said in checks.items() if said != "ok")


def parts_up(runtime: Runtime) -> list[str]:
    """Return the parts of which a service runs."""
    there = [part for part in PARTS if (ROOT / part / "docker-compose.yml").exists()]
    services = [service for part in there for service in services_of(part).values()]
    seen = zip(services, runtime.look(services), strict=True)
    return list(dict.fromkeys(service.part for service, at in seen if at.state != "exited"))


def states(runtime: Runtime, services: Mapping[str, Service]) -> dict[str, str]:
    """Return the state of each service, by one question: with Docker each question costs."""
    return {name: seen.state for name, seen in zip(services, runtime.look(services.values()), strict=True)}


def find(runtime: Runtime, name: str) -> Service:
    """Return the service called `NAME`, of the part that is up, or `PART/NAME`. Raises LabError; also for several."""
    found = find_all(runtime, name)
    if len(found) > 1:
        names = [service.name for service in found]
        raise LabError(f"there are {len(found)} of {name}", f"say which one: {', '.join(names)}")
    return found[0]


def find_all(runtime: Runtime, name: str) -> list[Service]:
    """Return the service of this name, or all its replicas. Raises LabError."""
    part, _, short = name.rpartition("/")
    parts = [part_named(part)] if part else (parts_up(runtime) or _remembered_parts())
    if not parts:
        raise LabError("no part is up", "./lab up sync-rest")
    if len(parts) > 1:
        raise LabError(f"{' and '.join(parts)} are up", f"say which one: {parts[0]}/{short}")
    known = services_of(parts[0])
    found = [service for service in known.values() if short in (service.name, service.kind)]
    if not found:
        raise LabError(f"{parts[0]} has no service {short}", f"it has: {', '.join(known)}")
    return found


def _last_log_lines(runtime: Runtime, service: Service) -> str:
    """Return the end of a service's log, without our own question whether it is ready, and of a traceback the error."""
    lines = [line for line in runtime.logs(service, 500).splitlines() if '"path":"/ready"' not in line][-12:]
    for n, line in enumerate(lines):
        with contextlib.suppress(ValueError, TypeError, LookupError):  # it holds none
            shown = json.loads(line)
            shown["error"] = shown["error"].splitlines()[-1]
            lines[n] = json.dumps(shown, separators=(",", ":"), ensure_ascii=False)
    return "\n".join(f"  | {line}" for line in lines) or "  | (nothing)"


def _check_other(runtime: Runtime, part: str) -> None:
    """Raise LabError when the part is up with the other runtime: it has the ports, and this one cannot stop it."""
    other: Runtime | None = None
    if runtime.name == "docker":
        other = LocalRuntime()
    elif _remembered() == "docker" and not engine.fault():
        other = docker.DockerRuntime()
    if other is not None and part in parts_up(other):
        raise LabError(f"{part} is up with the runtime {other.name}", f"first: LAB_RUNTIME={other.name} ./lab down")


def _remembered() -> str | None:
    names = {_runtime_file(part).read_text() for part in _remembered_parts()}
    return names.pop() if len(names) == 1 else None


def _remembered_parts() -> list[str]:
    return [part for part in PARTS if _runtime_file(part).exists()]


def _runtime_file(part: str) -> Path:
    return STATE_DIR / "run" / part / "runtime"


def broker_up() -> Service:
    """Return the broker of the part that is up. Raises LabError when there is none, or more than one."""
    found = [broker for part in parts_up(choose()) if (broker := broker_of(services_of(part)))]
    if not found:
        raise LabError("no part with a broker is up", "./lab up async-rabbitmq, or ./lab up streaming-kafka")
    if len(found) > 1:
        raise LabError(f"{' and '.join(s.part for s in found)} are up", f"first: ./lab down {found[0].part}")
    return found[0]
