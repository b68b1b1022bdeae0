"""The Compose files and the Dockerfile: what every container has, and that both runtimes run the same."""

import os
import re
import socket
import subprocess
import threading

import pytest
import yaml
from lab.paths import PARTS, ROOT
from lab.services import services_of
from lab.setup import install

BROKERS = {"async-rabbitmq": "rabbitmq", "streaming-kafka": "kafka"}
DOCKERFILE = (ROOT / "Dockerfile").read_text()


def read(part: str) -> dict:
    return yaml.safe_load((ROOT / part / "docker-compose.yml").read_text())


def containers(part: str) -> dict[str, dict]:
    """Return the services of which there are containers."""
    return {name: shape for name, shape in read(part)["services"].items() if name != "image"}


EVERY = [(part, name) for part in PARTS for name in containers(part)]
OURS = [(part, name) for part, name in EVERY if name not in BROKERS.values()]


@pytest.mark.parametrize("part", PARTS)
def test_the_image_of_all_services_is_built_once(part):
    services = read(part)["services"]
    image = services["image"]
    assert (image["build"], image["scale"]) == ("..", 0)
    assert [name for name, shape in services.items() if shape["image"] == image["image"] and "build" in shape] == [
        "image"
    ]
    for name in containers(part).keys() - set(BROKERS.values()):
        shape = services[name]
        assert (shape["image"], shape["pull_policy"]) == (image["image"], "never")
        assert "image" in shape["depends_on"]  # so one service alone brings its image


@pytest.mark.parametrize(("part", "name"), EVERY)
def test_a_container_has_no_more_rights_than_it_needs(part, name):
    shape = containers(part)[name]
    assert shape["read_only"] is True
    assert shape["cap_drop"] == ["ALL"]
    assert shape["security_opt"] == ["no-new-privileges:true"]
    assert "/tmp" in shape["tmpfs"]
    assert shape["pids_limit"] <= 512
    assert re.fullmatch(r"\d+[mg]", shape["mem_limit"])
    assert shape["logging"]["options"] == {"max-size": "10m", "max-file": "3"}
    assert "restart" not in shape  # a killed service must stay down until an experiment starts it


@pytest.mark.parametrize(("part", "name"), EVERY)
def test_a_container_says_whether_it_works_and_is_seldom_asked(part, name):
    check = containers(part)[name]["healthcheck"]
    assert check["test"][:3] == ["CMD", "bash", "-c"]  # it costs half of a Python program
    assert check["interval"] == "45s"
    assert "start_interval" not in check  # engines 20 to 24 refuse it
    assert int(check["start_period"].removesuffix("s")) >= 60


HTTP, KAFKA = b"HTTP/1.1 200 OK\r\n\r\n", b"\0\0\0\x10\0\0\0\0"


@pytest.mark.parametrize(
    ("part", "name", "reply", "good"),
    [
        *((part, "order", HTTP, True) for part in PARTS),
        ("sync-rest", "order", b"HTTP/1.1 503 SERVICE UNAVAILABLE\r\n\r\n", False),
        ("sync-rest", "order", b"", False),
        ("streaming-kafka", "kafka", KAFKA, True),
        ("streaming-kafka", "kafka", b"", False),
        ("async-rabbitmq", "rabbitmq", b"", True),  # its port is open: that is all that it is asked
        *((part, name, None, False) for part, name in EVERY),
    ],
)
def test_the_check_of_a_container_sees_whether_its_program_works(part, name, reply, good):
    """The check's command runs here, beside a server that gives this reply; None: nothing listens."""
    words = [word.replace("$$", "$") for word in containers(part)[name]["healthcheck"]["test"][1:]]
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        if reply is None:
            server.close()
        else:
            threading.Thread(target=answer_once, args=(server, reply), daemon=True).start()
        done = subprocess.run(words, env={"PORT": str(port), "PATH": os.defpath}, capture_output=True, timeout=20)
    assert (done.returncode == 0) is good, done.stderr


def answer_once(server: socket.socket, reply: bytes) -> None:
    connection, _ = server.accept()
    with connection:
        if reply:
            connection.recv(100)
        connection.sendall(reply)


@pytest.mark.parametrize(("part", "name"), OURS)
def test_a_service_waits_until_the_broker_works(part, name):
    broker = BROKERS.get(part)
    needs = containers(part)[name]["depends_on"]
    if broker:
        assert needs[broker] == {"condition": "service_healthy"}
    assert "start_period" in containers(part).get(broker, {"healthcheck": "start_period"})["healthcheck"]


@pytest.mark.parametrize(("part", "name"), EVERY)
def test_ports_are_on_loopback_unless_asked_otherwise(part, name):
    ports = containers(part)[name]["ports"]
    assert ports
    assert all(port.startswith(("127.0.0.1:", "${BIND_ADDRESS:-127.0.0.1}:")) for port in ports)


def test_brokers_are_pinned_and_kafka_is_the_same_without_docker():
    rabbitmq, kafka = (read(part)["services"][name]["build"]["dockerfile_inline"] for part, name in BROKERS.items())
    assert rabbitmq.startswith("FROM rabbitmq:4.3-management\n")
    assert kafka.startswith(f"FROM apache/kafka:{install.kafka_version()}\n")


@pytest.mark.parametrize(("part", "broker"), BROKERS.items())
def test_the_settings_of_a_broker_are_readable_whatever_the_umask_of_the_clone(part, broker):
    build = read(part)["services"][broker]["build"]
    copied = re.search(r"COPY --chmod=0(644|755) (.+) (/\S+)\n", build["dockerfile_inline"])
    assert copied
    for file in copied[2].split():
        assert (ROOT / part / build["context"] / file).is_file()
    mounted = read(part)["services"][broker]["volumes"]
    assert not any(volume.startswith(".") for volume in mounted)


def test_rabbitmq_works_in_a_folder_that_it_can_write():
    shape = read("async-rabbitmq")["services"]["rabbitmq"]
    (folder,) = re.findall(r"^WORKDIR (.+)$", shape["build"]["dockerfile_inline"], re.M)
    assert folder in shape["tmpfs"]


def test_what_people_look_for_is_where_they_look():
    assert any(":15672" in port for port in read("async-rabbitmq")["services"]["rabbitmq"]["ports"])
    assert ":9092" in (ROOT / "streaming-kafka/broker/private_node").read_text()


def test_the_image_has_a_fixed_user_and_is_readable_and_installs_only_on_a_change_of_the_dependencies():
    last = DOCKERFILE.rpartition("\nFROM ")[2]
    assert "useradd --uid 1000" in last
    assert last.rstrip().endswith("USER campus")
    assert "chmod -R a+rX /app" in last
    assert "LABEL org.opencontainers.image.title=" in last
    before, install_line, after = last.partition("RUN pip install")
    assert install_line
    assert re.findall(r"^COPY (.+)$", before, re.M) == ["--from=packages packages.txt /tmp/"]  # no file of the clone
    assert "COPY common common" in after
    assert not re.search("^# *syntax", DOCKERFILE)


@pytest.mark.parametrize("part", PARTS)
def test_a_file_says_which_versions_it_needs(part):
    assert "Needs Docker Engine 20.10 and Compose 2.20 or newer" in (ROOT / part / "docker-compose.yml").read_text()


@pytest.mark.parametrize("part", PARTS)
def test_without_docker_the_same_services_run(part):
    assert list(services_of(part, {})) == list(containers(part))


@pytest.mark.parametrize("script", ["run_all.sh", "docker_smoke.sh"])
def test_scripts_that_run_all_experiments_know_the_part_of_each(script):
    """Else they look for the results in a folder that is not there, and say that nothing finished."""
    function = re.search(r"^part_of\(\) .*$", (ROOT / "experiments" / script).read_text(), re.M)
    assert function
    for experiment in sorted((ROOT / "experiments").glob("[abc][0-9]_*.sh")):
        words = ["bash", "-c", f'{function[0]}; part_of "$1"', "bash", str(experiment)]
        part = subprocess.run(words, capture_output=True, text=True, check=True).stdout.strip()
        assert part == PARTS["abc".index(experiment.name[0])]
