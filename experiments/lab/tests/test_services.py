"""Reading docker-compose.yml: variables as Compose fills them in, and every part's file as it is."""

import os
import socket

import pytest
from lab import compose, paths, services
from lab.errors import LabError
from lab.runtime import data, ports
from lab.services import addresses, services_of

FILE = """
x-service: &service
  working_dir: /app/sync-rest
services:
  inventory:
    <<: *service
    command: [serve, -n, 3]
    environment: {PORT: "${A_INVENTORY_PORT:-8001}", STOCK: "${STOCK:-}", TEXT: "${TEXT:-plain}", EMPTY: }
    volumes: ["inventory-data:/data"]
  order:
    <<: *service
    command: [serve]
    environment: {PORT: 8000}
"""


@pytest.fixture
def written(tmp_path, monkeypatch):
    """A part with the file above."""
    (tmp_path / "sync-rest").mkdir()
    (tmp_path / "sync-rest/docker-compose.yml").write_text(FILE)
    for module in (services, compose):
        monkeypatch.setattr(module, "ROOT", tmp_path)


@pytest.mark.parametrize(
    ("text", "env", "filled"),
    [
        ("${X}", {"X": "1"}, "1"),
        ("${X}", {}, ""),
        ("${X-d}", {}, "d"),
        ("${X-d}", {"X": ""}, ""),
        ("${X-d}", {"X": "1"}, "1"),
        ("${X:-d}", {}, "d"),
        ("${X:-d}", {"X": ""}, "d"),
        ("${X:-d}", {"X": "1"}, "1"),
        ("${X:-}", {}, ""),
        ("${X:-sqlite:////data/x.db}", {}, "sqlite:////data/x.db"),
        ("${A:-1}:${B:-2}", {"B": "3"}, "1:3"),
        ("no variable", {}, "no variable"),
    ],
)
def test_forms_of_a_variable(text, env, filled):
    assert services._fill({"a": [text]}, env) == {"a": [filled]}


@pytest.mark.usefixtures("written")
def test_a_service_as_it_is_described():
    assert list(services_of("sync-rest", {})) == ["inventory", "order"]
    service = services_of("sync-rest", {})["inventory"]
    assert service.command == ["serve", "-n", "3"]
    assert service.environment == {"PORT": "8001", "STOCK": "", "TEXT": "plain", "EMPTY": ""}
    assert (service.folder, service.port, service.url) == ("sync-rest", 8001, "http://127.0.0.1:8001")
    assert service.volumes == {"inventory-data": "/data"}


@pytest.mark.usefixtures("written")
@pytest.mark.parametrize("value", ['{"burger": 5}', "a: b", "# no comment", "'", "[1, 2]"])
def test_a_value_may_hold_any_character(value):
    assert services_of("sync-rest", {"STOCK": value})["inventory"].environment["STOCK"] == value


@pytest.mark.usefixtures("written")
def test_ports_come_from_the_environment():
    assert services_of("sync-rest", {"A_INVENTORY_PORT": "9001"})["inventory"].port == 9001
    with pytest.raises(LabError, match="the port of inventory is not a number: many"):
        services_of("sync-rest", {"A_INVENTORY_PORT": "many"})


@pytest.mark.usefixtures("written")
def test_the_env_file_of_a_part_is_obeyed_and_the_environment_above_it(tmp_path, monkeypatch):
    for name in ("A_INVENTORY_PORT", "STOCK", "TEXT"):
        monkeypatch.delenv(name, raising=False)
    (tmp_path / "sync-rest/.env").write_text(
        "A_INVENTORY_PORT=9001 # another\nexport STOCK='{\"burger\": 5}'\n# TEXT=no\n"
    )
    service = services_of("sync-rest")["inventory"]
    assert (service.port, service.environment["STOCK"]) == (9001, '{"burger": 5}')
    assert service.environment["TEXT"] == "plain"
    monkeypatch.setenv("A_INVENTORY_PORT", "9002")
    assert services_of("sync-rest")["inventory"].port == 9002


def test_what_up_was_told_to_record_holds_until_down(monkeypatch, tmp_path):
    monkeypatch.setattr(compose, "STATE_DIR", tmp_path)
    monkeypatch.delenv("TRACE_ORDERS", raising=False)

    def told() -> str:
        return services_of("sync-rest")["inventory"].environment["TRACE_ORDERS"]

    assert told() == ""
    compose.keep("sync-rest", {"TRACE_ORDERS": "20", "PATH": "/bin"})
    assert (told(), compose.kept("sync-rest")) == ("20", {"TRACE_ORDERS": "20"})
    monkeypatch.setenv("TRACE_ORDERS", "5")
    assert told() == "5"
    monkeypatch.delenv("TRACE_ORDERS")
    compose.keep("sync-rest", {})
    assert told() == ""


@pytest.mark.parametrize(
    ("line", "found"),
    [
        ("A=1", {"A": "1"}),
        ("  export A = 1  ", {"A": "1"}),
        ("A=a b # c", {"A": "a b"}),
        ("A=a#b", {"A": "a#b"}),
        ("A='a # b' # c", {"A": "a # b"}),
        ('A="a # b"', {"A": "a # b"}),
        ("A=", {"A": ""}),
        ("\ufeffA=1", {"A": "1"}),
        ("# A=1", {}),
        ("no line of this kind", {}),
    ],
)
def test_lines_of_an_env_file(line, found, tmp_path, monkeypatch):
    monkeypatch.setattr(services, "ROOT", tmp_path)
    (tmp_path / "sync-rest").mkdir()
    (tmp_path / "sync-rest/.env").write_text(line)
    assert services.env_file("sync-rest") == found


@pytest.mark.parametrize(
    ("part", "env", "said", "hint"),
    [
        ("sync-rest", {"A_ORDER_PORT": "8001"}, "inventory and order have the same port 8001", "see A_ORDER_PORT"),
        ("sync-rest", {"A_ORDER_PORT": "70000"}, "the port of order is 70000", "A_ORDER_PORT must be from 1 to 65535"),
        (
            "streaming-kafka",
            {"C_KAFKA_CONTROLLER_PORT": "8021"},
            "kafka and inventory have the same port 8021",
            "see C_INVENTORY_PORT",
        ),
        ("streaming-kafka", {"C_KAFKA_INSIDE_PORT": "x"}, "the port of kafka is not a number: x", "KAFKA_INSIDE_PORT"),
        ("async-rabbitmq", {"B_RABBITMQ_PORT": "0"}, "the port of rabbitmq is 0", "B_RABBITMQ_PORT must be from 1"),
    ],
)
def test_a_port_that_cannot_be_is_refused_and_its_variable_named(part, env, said, hint):
    with pytest.raises(LabError, match=said) as refused:
        services_of(part, env)
    assert hint in refused.value.hint


def test_all_ports_of_kafka_are_looked_at_before_it_starts(monkeypatch):
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        kafka = services_of("streaming-kafka", {"C_KAFKA_CONTROLLER_PORT": str(port)})["kafka"]
        with pytest.raises(LabError, match=f"port {port} of kafka is taken by process {os.getpid()}") as refused:
            ports.check_free(kafka)
    assert f"C_KAFKA_CONTROLLER_PORT={ports.free()} ./lab up" in refused.value.hint


def parts_there() -> list[str]:
    return [part for part in paths.PARTS if (paths.ROOT / part / "docker-compose.yml").exists()]


@pytest.mark.parametrize("part", parts_there())
def test_every_part_can_be_read(part):
    services = services_of(part, {})
    for service in services.values():
        assert service.part == part
        assert service.command
        assert (paths.ROOT / service.folder).is_dir()
        assert not any("${" in value for value in [*service.environment.values(), *service.command])


def test_ports_of_part_a():
    by_name = {name: service.port for name, service in services_of("sync-rest", {}).items()}
    assert by_name == {"order": 8000, "inventory": 8001, "notification": 8002}


def test_addresses(monkeypatch):
    monkeypatch.setenv("A_ORDER_PORT", "9000")
    assert addresses("sync-rest")["ORDER_URL"] == "http://127.0.0.1:9000"


def test_a_path_with_odd_characters_has_a_link_for_the_brokers(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.gettempdir", lambda: str(tmp_path))
    plain = tmp_path / "week-3"
    assert data.plain_path(plain) == plain
    for name in ("week 3", "it's week 3", "Übung"):
        (tmp_path / name).mkdir()
        link = data.plain_path(tmp_path / name)
        assert link.resolve() == tmp_path / name
        assert link.name.startswith(f"campus-lab-{os.getuid()}-")
        assert data.plain_path(tmp_path / name) == link
    link.unlink()
    link.symlink_to(plain)  # as after somebody else's hand
    assert data.plain_path(tmp_path / "Übung").resolve() == tmp_path / "Übung"
