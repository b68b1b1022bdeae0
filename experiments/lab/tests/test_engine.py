"""Whether this machine's Docker can run the lab, and the names of a clone's projects: `docker` is a script here."""

import json
import platform
from importlib.metadata import version
from types import SimpleNamespace

import psutil
import pytest
from lab import client, services
from lab.brokers import rabbitmq
from lab.errors import LabError
from lab.history.environment import environment
from lab.runtime import docker, lifecycle, ports
from lab.runtime.local import LocalRuntime
from lab.services import services_of
from lab.setup import engine

GOOD = {"version": "28.5.2", "compose": "2.40.3"}
AWAY = "Cannot connect to the Docker daemon at unix:///var/run/docker.sock. Is the docker daemon running?"


@pytest.fixture
def installed(monkeypatch, tmp_path):
    """A function that puts a `docker` on the path: what it says for each first word; None: it fails."""

    def put(*, stderr: str = AWAY, others: tuple[str, ...] = (), **says: str | None) -> None:
        cases = "".join(f"{word}) echo {text!r}; exit 0 ;;\n" for word, text in says.items() if text is not None)
        script = f'#!/bin/sh\necho "$*" >>{tmp_path}/asked\ncase $1 in\n{cases}esac\necho {stderr!r} >&2\nexit 1\n'
        for name in ("docker", *others) if says else others:
            (tmp_path / name).write_text(script)
            (tmp_path / name).chmod(0o755)
        monkeypatch.setenv("PATH", str(tmp_path))  # and nothing of this machine
        engine.fault.cache_clear()

    yield put
    engine.fault.cache_clear()


@pytest.fixture
def asked(tmp_path):
    """A function that returns what the script was asked."""
    file = tmp_path / "asked"
    return lambda: file.read_text().splitlines() if file.exists() else []


@pytest.mark.parametrize(
    ("says", "wrong"),
    [
        (GOOD, ""),
        ({**GOOD, "version": "20.10.24", "compose": "v2.20.0"}, ""),
        ({**GOOD, "version": "19.03.5"}, "Docker Engine 19.03.5 is too old: the lab needs 20.10 or newer"),
        ({**GOOD, "compose": "2.17.3"}, "Compose 2.17.3 is too old: the lab needs 2.20 or newer"),
        ({**GOOD, "compose": None}, "`docker compose` is missing: the lab needs Compose 2.20 or newer"),
        ({**GOOD, "version": None}, "no Docker engine answers"),
        ({}, "no Docker"),
        (
            {**GOOD, "version": None, "stderr": "permission denied while trying to connect"},
            "this user may not use the Docker engine: sudo usermod -aG docker $USER, then log in anew",
        ),
        (
            {**GOOD, "compose": None, "others": ("docker-compose",)},
            "`docker compose` is missing, and docker-compose is too old: the lab needs Compose 2.20 or newer",
        ),
    ],
)
def test_what_is_wrong_with_docker(installed, says, wrong):
    installed(**says)
    assert engine.fault() == wrong


def test_only_an_old_docker_compose_is_named(installed):
    installed(others=("docker-compose",))
    assert engine.fault().endswith("/docker-compose, but no `docker`: the lab needs `docker compose`")


def test_what_a_container_said_stays_when_it_goes(installed, asked, tmp_path, monkeypatch):
    monkeypatch.setattr(docker, "STATE_DIR", tmp_path)
    name = engine.container("sync-rest", "order")
    found = [{"Name": f"/{name}", "Id": "c0ffee", "State": {"Status": "exited"}}]
    installed(**GOOD, container=json.dumps(found), logs="it said this")
    docker.DockerRuntime().remove("sync-rest")
    assert [(log.name, log.read_text()) for log in (tmp_path / "logs/sync-rest").iterdir()] == [
        ("order.log", "it said this\n")
    ]
    assert asked()[-1].endswith("down --remove-orphans")


def test_the_progress_of_a_build_is_not_among_what_a_command_says(installed, tmp_path, monkeypatch, capfd):
    monkeypatch.setattr(engine, "STATE_DIR", tmp_path)
    installed(**GOOD | {"compose": "#1 building"}, image=None)
    engine.build("sync-rest")
    assert capfd.readouterr() == ("", "#1 building\n")


@pytest.fixture
def nothing_up(monkeypatch, tmp_path):
    """No part is up."""
    monkeypatch.setattr(lifecycle, "STATE_DIR", tmp_path)
    monkeypatch.delenv("LAB_RUNTIME", raising=False)


@pytest.mark.usefixtures("nothing_up")
def test_a_docker_that_is_too_old_is_named_and_the_lab_goes_on_without(installed, capsys):
    installed(**GOOD | {"version": "19.03.5"})
    assert lifecycle.choose().name == "local"
    assert capsys.readouterr().err == (
        "without Docker: Docker Engine 19.03.5 is too old: the lab needs 20.10 or newer\n"
    )
    installed(**GOOD)
    assert lifecycle.choose().name == "docker"
    assert capsys.readouterr().err == ""


@pytest.mark.usefixtures("nothing_up")
def test_docker_that_is_asked_for_and_not_there_is_an_error(installed, monkeypatch):
    monkeypatch.setenv("LAB_RUNTIME", "docker")
    installed(**GOOD | {"compose": "2.17.3"})
    with pytest.raises(LabError, match=r"Compose 2.17.3 is too old") as refused:
        lifecycle.choose()
    assert "LAB_RUNTIME=local" in refused.value.hint


@pytest.mark.usefixtures("nothing_up")
@pytest.mark.parametrize("wanted", ["", "docker"])
def test_while_a_part_is_up_the_versions_are_not_asked_again(installed, monkeypatch, asked, wanted):
    installed(**GOOD)
    monkeypatch.setenv("LAB_RUNTIME", wanted)
    monkeypatch.setattr(lifecycle, "_remembered", lambda: "docker")
    assert lifecycle.choose().name == "docker"
    assert asked() == []


def test_the_state_of_all_services_is_one_question(installed, asked):
    there = [service for part in ("sync-rest", "async-rabbitmq") for service in services_of(part).values()]
    names = [engine.container(service.part, service.name) for service in there]
    found = [{"Name": f"/{names[0]}", "Id": "0123456789abcdef", "State": {"Status": "running"}},
             {"Name": f"/{names[1]}", "Id": "fedcba9876543210", "State": {"Status": "paused"}},
             {"Name": f"/{names[2]}", "Id": "a" * 16, "State": {"Status": "created"}}]  # fmt: skip
    installed(container=json.dumps(found))
    seen = docker.DockerRuntime().look(there)
    assert [(s.state, s.process) for s in seen[:3]] == [
        ("running", "container 0123456789ab"),
        ("paused", "container fedcba987654"),
        ("exited", ""),
    ]
    assert {s.state for s in seen[3:]} == {"exited"}  # the engine knows nothing of them
    assert asked() == [f"container inspect {' '.join(names)}"]


def test_an_engine_that_is_gone_is_said(installed):
    installed(version="28")
    with pytest.raises(LabError, match="no Docker engine answers"):
        docker.DockerRuntime().look(services_of("sync-rest").values())


@pytest.mark.parametrize("empty", [True, False])
def test_a_broker_that_runs_is_kept_when_it_can_be_emptied(installed, monkeypatch, asked, empty):
    """Its services and their data go in any case; a broker that cannot be emptied goes with its data, too."""
    monkeypatch.setattr(docker, "emptied", lambda service: empty)
    monkeypatch.setattr(engine, "build", lambda part: None)
    monkeypatch.setattr(engine, "name_project", lambda part: None)
    project, name = engine.project("async-rabbitmq"), engine.container("async-rabbitmq", "rabbitmq")
    found = json.dumps([{"Name": f"/{name}", "Id": "1", "State": {"Status": "running"}}])
    volumes = [f"{project}_{of}-data" for of in ("inventory", "order", "rabbitmq-1", "rabbitmq")]  # one is of a cluster
    installed(container=found, compose="done", volume="\n".join(volumes))
    docker.DockerRuntime().create("async-rabbitmq", fresh=True)
    said = [line.partition("docker-compose.yml ")[2] or line for line in asked()]
    gone = [volume for volume in volumes if not (empty and volume.endswith("rabbitmq-data"))]
    stop = "rm --stop --force notification inventory order" if empty else "down --remove-orphans"
    seen = [line for line in said[1:] if not line.startswith("volume ls")]
    assert seen == [stop, f"volume rm --force {' '.join(gone)}", "up --no-start --no-build"]


def test_brokers_go_on_after_down_where_they_are_to_be_kept(installed, asked):
    installed(container="[]", compose="done")
    docker.DockerRuntime().remove("async-rabbitmq", keep_brokers=True)
    docker.DockerRuntime().remove("async-rabbitmq")
    docker.DockerRuntime().remove("sync-rest", keep_brokers=True)  # it has none
    said = [line.partition("docker-compose.yml ")[2] for line in asked()]
    down = "down --remove-orphans"
    assert [line for line in said if line] == ["rm --stop --force notification inventory order", down, down]


def test_a_port_that_another_clone_s_container_has(installed, monkeypatch):
    def taken(service, most):
        raise LabError("port 8000 of order is taken by process 7 (docker-proxy)", "A_ORDER_PORT=8100 …")

    monkeypatch.setattr(ports, "check_free", taken)
    installed(container="[]", ps="campus-sync-rest-123456-order-1 (/home/me/other/sync-rest)")
    with pytest.raises(LabError) as refused:
        docker.DockerRuntime().start(services_of("sync-rest")["order"])
    assert str(refused.value) == (
        "port 8000 of order is taken by the container campus-sync-rest-123456-order-1 (/home/me/other/sync-rest)"
    )
    assert refused.value.hint == "A_ORDER_PORT=8100 …"


def test_a_container_that_docker_cannot_start_is_an_error_with_a_way_out(installed, monkeypatch):
    monkeypatch.setattr(ports, "check_free", lambda service, most: None)
    service = services_of("async-rabbitmq")["rabbitmq"]
    name = engine.container("async-rabbitmq", "rabbitmq")
    installed(
        container=json.dumps([{"Name": f"/{name}", "Id": "1", "State": {"Status": "exited"}}]),
        stderr="Error: Bind for 127.0.0.1:15672 failed: port is already allocated",
    )
    with pytest.raises(LabError, match="docker start failed: Error: Bind for") as refused:
        docker.DockerRuntime().start(service)
    assert "B_RABBITMQ_UI_PORT=15772" in refused.value.hint


@pytest.fixture
def clone(monkeypatch, tmp_path):
    """A function that makes the modules work in a clone of this name."""

    def at(name: str):
        root = tmp_path / name
        (root / "sync-rest").mkdir(parents=True, exist_ok=True)
        for module in (engine, services):
            monkeypatch.setattr(module, "ROOT", root)
        return root / "sync-rest/.env"

    return at


def test_two_clones_have_two_projects_and_plain_compose_finds_the_same(clone):
    first, file = engine.project("sync-rest"), clone("one")
    one = engine.project("sync-rest")
    file.write_text("A_ORDER_PORT=9000\n")
    engine.name_project("sync-rest")
    engine.name_project("sync-rest")
    assert file.read_text() == f"A_ORDER_PORT=9000\nCOMPOSE_PROJECT_NAME={one}\n"
    text, other = file.read_text(), clone("two")
    other.write_text(text)  # as `cp -r one two` does
    two = engine.project("sync-rest")
    assert len({first, one, two}) == 3
    engine.name_project("sync-rest")
    assert other.read_text() == f"A_ORDER_PORT=9000\nCOMPOSE_PROJECT_NAME={two}\n"


def test_a_name_of_one_s_own_stays(clone):
    file = clone("one")
    file.write_text("COMPOSE_PROJECT_NAME=mine\n")
    engine.name_project("sync-rest")
    assert (engine.project("sync-rest"), file.read_text()) == ("mine", "COMPOSE_PROJECT_NAME=mine\n")
    assert engine.container("sync-rest", "order") == "mine-order-1"


def test_images_are_built_again_only_after_a_change(installed, monkeypatch, tmp_path, asked):
    monkeypatch.setattr(engine, "STATE_DIR", tmp_path / "state")
    installed(image="sha256:1", compose="built")
    engine.build("sync-rest")
    engine.build("sync-rest")
    builds = [line for line in asked() if line.startswith("compose")]
    assert len(builds) == 1
    assert builds[0].endswith(" build")
    monkeypatch.setattr(engine, "_made_of", lambda part: "another")
    engine.build("sync-rest")
    assert len([line for line in asked() if line.startswith("compose")]) == 2


def test_a_part_that_is_up_without_docker_is_not_started_with_it(installed, monkeypatch):
    installed(**GOOD)
    monkeypatch.setattr(lifecycle, "parts_up", lambda runtime: ["sync-rest"] if runtime.name == "local" else [])
    with pytest.raises(LabError, match="sync-rest is up with the runtime local"):
        lifecycle._check_other(docker.DockerRuntime(), "sync-rest")
    assert LocalRuntime().name == "local"


class Runtime:
    """A runtime that knows what Docker would say."""

    name = "docker"

    def facts(self, _: object) -> dict:
        """Say what runs the services."""
        return {
            "cores": 3,
            "memory_gib": 5,
            "engine": {"Docker Engine": "28.5.2"},
            "images": {"services": "0123456789ab"},
        }

    def kafka_jars(self, _: object) -> list[str]:
        """Return some names of jars."""
        return ["kafka-tools-4.4.0.jar", "kafka-clients-4.4.0.jar", "zstd-jni-1.5.6-10.jar"]


def test_a_run_says_what_really_ran(monkeypatch):
    """The versions come from the service, the broker's from the broker, and the machine is the engine's."""
    told = SimpleNamespace(json=lambda: {"versions": {"Python": "3.12.1", "pika": "1.4.4"}})
    monkeypatch.setattr(client, "try_get", lambda url, timeout: told if url.endswith("/health") else None)
    monkeypatch.setattr(rabbitmq, "version", lambda service: "4.3.1")
    there = environment(Runtime(), services_of("streaming-kafka"))
    assert there["versions"] == {"Python": "3.12.1", "pika": "1.4.4", "aiohttp": version("aiohttp")}
    assert there["broker"] == {"Kafka": "4.4.0"}
    assert (there["runtime"], there["cores"], there["engine"]) == ("docker", 3, {"Docker Engine": "28.5.2"})
    assert environment(Runtime(), services_of("async-rabbitmq"))["broker"] == {"RabbitMQ": "4.3.1"}
    assert "broker" not in environment(Runtime(), services_of("sync-rest"))


def test_without_docker_the_machine_is_this_one_and_kafka_is_what_its_jars_are():
    there = LocalRuntime().facts({})
    assert there["cores"] == psutil.cpu_count()
    assert there["system"].startswith(platform.system())
